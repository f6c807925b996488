// Batches of datagrams: one system call for up to 64 of them.
#define _GNU_SOURCE
#include "CLinux.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

union address {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
};

static socklen_t write_address(union address *to, int family, uint64_t high, uint64_t low, uint16_t port) {
  memset(to, 0, sizeof *to);
  if (family == AF_INET) {
    to->v4.sin_family = AF_INET;
    to->v4.sin_port = htons(port);
    to->v4.sin_addr.s_addr = htonl((uint32_t)low);
    return sizeof to->v4;
  }
  uint64_t words[2] = {htobe64(high), htobe64(low)};
  to->v6.sin6_family = AF_INET6;
  to->v6.sin6_port = htons(port);
  memcpy(&to->v6.sin6_addr, words, sizeof words);
  return sizeof to->v6;
}

static void read_address(const union address *from, struct linux_datagram *to) {
  if (from->any.sa_family == AF_INET) {
    to->high = 0;
    to->low = 0xFFFF00000000u | ntohl(from->v4.sin_addr.s_addr);
    to->port = ntohs(from->v4.sin_port);
    return;
  }
  uint64_t words[2];
  memcpy(words, &from->v6.sin6_addr, sizeof words);
  to->high = be64toh(words[0]);
  to->low = be64toh(words[1]);
  to->port = ntohs(from->v6.sin6_port);
}

int linux_udp_receive(int fd, struct linux_datagram *datagrams, int count) {
  struct mmsghdr messages[LINUX_BATCH_MAX];
  struct iovec parts[LINUX_BATCH_MAX];
  union address addresses[LINUX_BATCH_MAX];
  if (count > LINUX_BATCH_MAX) count = LINUX_BATCH_MAX;
  for (int i = 0; i < count; i++) {
    parts[i] = (struct iovec){datagrams[i].base, datagrams[i].capacity};
    messages[i].msg_hdr = (struct msghdr){
        .msg_name = &addresses[i], .msg_namelen = sizeof addresses[i], .msg_iov = &parts[i], .msg_iovlen = 1};
  }
  int n = recvmmsg(fd, messages, (unsigned)count, MSG_DONTWAIT, NULL);
  if (n < 0) return -errno;
  for (int i = 0; i < n; i++) {
    datagrams[i].length = messages[i].msg_len;
    datagrams[i].truncated = (messages[i].msg_hdr.msg_flags & MSG_TRUNC) != 0;
    read_address(&addresses[i], &datagrams[i]);
  }
  return n;
}

int linux_udp_send(int fd, int family, const struct linux_datagram *datagrams, int count) {
  struct mmsghdr messages[LINUX_BATCH_MAX];
  struct iovec parts[LINUX_BATCH_MAX];
  union address addresses[LINUX_BATCH_MAX];
  if (count > LINUX_BATCH_MAX) count = LINUX_BATCH_MAX;
  for (int i = 0; i < count; i++) {
    const struct linux_datagram *d = &datagrams[i];
    parts[i] = (struct iovec){d->base, d->length};
    socklen_t size = write_address(&addresses[i], family, d->high, d->low, d->port);
    messages[i].msg_hdr = (struct msghdr){
        .msg_name = &addresses[i], .msg_namelen = size, .msg_iov = &parts[i], .msg_iovlen = 1};
  }
  int n = sendmmsg(fd, messages, (unsigned)count, MSG_DONTWAIT | MSG_NOSIGNAL);
  return n < 0 ? -errno : n;
}

int linux_udp_bind(int fd, int family, uint64_t high, uint64_t low, uint16_t port) {
  union address address;
  socklen_t size = write_address(&address, family, high, low, port);
  return bind(fd, &address.any, size) < 0 ? -errno : 0;
}

int linux_udp_local(int fd, struct linux_datagram *local) {
  union address address;
  socklen_t size = sizeof address;
  if (getsockname(fd, &address.any, &size) < 0) return -errno;
  read_address(&address, local);
  return 0;
}
