// Connections: the calls that have addresses in them.
#define _GNU_SOURCE
#include "address.h"

#include <errno.h>

int linux_tcp_connect(int fd, int family, uint64_t high, uint64_t low, uint16_t port) {
  union address address;
  socklen_t size = write_address(&address, family, high, low, port);
  return connect(fd, &address.any, size) < 0 ? -errno : 0;
}

int linux_tcp_accept(int fd, struct linux_datagram *from) {
  union address address;
  socklen_t size = sizeof address;
  int accepted = accept4(fd, &address.any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (accepted < 0) return -errno;
  read_address(&address, from);
  return accepted;
}
