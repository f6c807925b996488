// Runs: many datagrams of one size as one, where the kernel cuts them (UDP_SEGMENT) and puts them together
// (UDP_GRO). Both say the size in a control message; so is the type of service of the outer header.
#define _GNU_SOURCE
#include "address.h"

#include <errno.h>

// Constants of linux/udp.h, which older C libraries have not.
#ifndef SOL_UDP
#define SOL_UDP 17
#endif
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

void linux_udp_report_tos(int fd, int family) {
  int on = 1;
  // A socket of both families says it of IPv4 datagrams in IPv4's way.
  setsockopt(fd, IPPROTO_IP, IP_RECVTOS, &on, sizeof on);
  if (family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, &on, sizeof on);
}

int linux_udp_aggregate(int fd) {
  int on = 1;
  return setsockopt(fd, SOL_UDP, UDP_GRO, &on, sizeof on) < 0 ? -errno : 0;
}

int linux_udp_segments(int fd) {
  int bytes = 0;
  socklen_t size = sizeof bytes;
  return getsockopt(fd, SOL_UDP, UDP_SEGMENT, &bytes, &size) < 0 ? -errno : 0;
}

// What is received: at most a size of segments and one type of service, and room to spare.
union received_control {
  struct cmsghdr aligned;
  char bytes[2 * CMSG_SPACE(sizeof(int)) + 48];
};

static void read_control(struct msghdr *message, struct linux_run *run) {
  int segment = 0;
  run->tos = 0;
  for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
    int value = 0;
    size_t bytes = c->cmsg_len - CMSG_LEN(0);
    if (bytes >= sizeof value) {
      memcpy(&value, CMSG_DATA(c), sizeof value);
    } else if (bytes >= 1) {
      value = *CMSG_DATA(c);  // IPv4's type of service is one byte
    }
    if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) segment = value;
    if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) run->tos = (uint8_t)value;
    if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) run->tos = (uint8_t)value;
  }
  int fits = segment > 0 && (uint32_t)segment <= run->length;
  run->segment = fits ? (uint32_t)segment : run->length;
}

int linux_udp_receive_runs(int fd, struct linux_run *runs, int count) {
  struct mmsghdr messages[LINUX_RUNS_MAX];
  struct iovec parts[LINUX_RUNS_MAX];
  union address addresses[LINUX_RUNS_MAX];
  union received_control controls[LINUX_RUNS_MAX];
  if (count > LINUX_RUNS_MAX) count = LINUX_RUNS_MAX;
  for (int i = 0; i < count; i++) {
    parts[i] = (struct iovec){runs[i].base, runs[i].capacity};
    messages[i].msg_hdr = (struct msghdr){
        .msg_name = &addresses[i], .msg_namelen = sizeof addresses[i], .msg_iov = &parts[i], .msg_iovlen = 1,
        .msg_control = &controls[i], .msg_controllen = sizeof controls[i]};
  }
  int n = recvmmsg(fd, messages, (unsigned)count, MSG_DONTWAIT, NULL);
  if (n < 0) return -errno;
  for (int i = 0; i < n; i++) {
    struct linux_datagram from;
    read_address(&addresses[i], &from);
    runs[i].high = from.high;
    runs[i].low = from.low;
    runs[i].port = from.port;
    runs[i].length = messages[i].msg_len;
    // Without its control message a run cannot be taken apart.
    runs[i].truncated = (messages[i].msg_hdr.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0;
    read_control(&messages[i].msg_hdr, &runs[i]);
  }
  return n;
}

// What is sent: a size of segments and a type of service.
union sent_control {
  struct cmsghdr aligned;
  char bytes[CMSG_SPACE(sizeof(uint16_t)) + CMSG_SPACE(sizeof(int))];
};

static size_t write_control(
    union sent_control *to, int family, const struct linux_datagram *run, uint16_t segment, uint8_t tos) {
  size_t at = 0;
  memset(to, 0, sizeof *to);
  if (segment != 0) {
    struct cmsghdr *c = (struct cmsghdr *)to->bytes;
    c->cmsg_level = SOL_UDP;
    c->cmsg_type = UDP_SEGMENT;
    c->cmsg_len = CMSG_LEN(sizeof segment);
    memcpy(CMSG_DATA(c), &segment, sizeof segment);
    at = CMSG_SPACE(sizeof segment);
  }
  if (tos != 0) {
    // To an IPv4-mapped address a socket of both families sends as an IPv4 socket does, and reads as it.
    int is_v4 = family == AF_INET || (run->high == 0 && run->low >> 32 == 0xFFFF);
    int value = tos;
    struct cmsghdr *c = (struct cmsghdr *)(to->bytes + at);
    c->cmsg_level = is_v4 ? IPPROTO_IP : IPPROTO_IPV6;
    c->cmsg_type = is_v4 ? IP_TOS : IPV6_TCLASS;
    c->cmsg_len = CMSG_LEN(sizeof value);
    memcpy(CMSG_DATA(c), &value, sizeof value);
    at += CMSG_SPACE(sizeof value);
  }
  return at;
}

int linux_udp_send_run(int fd, int family, const struct linux_datagram *run, uint16_t segment, uint8_t tos) {
  union address address;
  union sent_control control;
  struct iovec part = {run->base, run->length};
  struct msghdr message = {.msg_name = &address, .msg_iov = &part, .msg_iovlen = 1};
  message.msg_namelen = write_address(&address, family, run->high, run->low, run->port);
  message.msg_controllen = write_control(&control, family, run, segment, tos);
  message.msg_control = message.msg_controllen == 0 ? NULL : control.bytes;
  ssize_t n = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  return n < 0 ? -errno : (int)n;
}

int linux_udp_send_pieces(
    int fd, int family, const struct linux_datagram *run, uint16_t segment, uint8_t tos) {
  struct mmsghdr messages[LINUX_BATCH_MAX];
  struct iovec parts[LINUX_BATCH_MAX];
  union address address;
  union sent_control control;
  socklen_t size = write_address(&address, family, run->high, run->low, run->port);
  size_t control_bytes = write_control(&control, family, run, 0, tos);
  unsigned count = 0;
  for (uint32_t at = 0; at < run->length && count < LINUX_BATCH_MAX; count++) {
    uint32_t rest = run->length - at;
    parts[count] = (struct iovec){(char *)run->base + at, rest < segment ? rest : segment};
    messages[count].msg_hdr = (struct msghdr){
        .msg_name = &address, .msg_namelen = size, .msg_iov = &parts[count], .msg_iovlen = 1,
        .msg_control = control_bytes == 0 ? NULL : control.bytes, .msg_controllen = control_bytes};
    at += parts[count].iov_len;
  }
  int n = sendmmsg(fd, messages, count, MSG_DONTWAIT | MSG_NOSIGNAL);
  return n < 0 ? -errno : n;
}
