// Batches of datagrams: one system call for up to 64 of them.
#define _GNU_SOURCE
#include "address.h"

#include <errno.h>

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
