// The TUN device's ioctls, and packets without the header that they come with.
#include "CLinux.h"

#include <errno.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

int linux_tun_attach(int fd, char *name) {
  struct ifreq request = {0};
  memcpy(request.ifr_name, name, IFNAMSIZ - 1);
  request.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR;
  if (ioctl(fd, TUNSETIFF, &request) < 0) return -errno;
  memcpy(name, request.ifr_name, IFNAMSIZ);
  // 10 is what the kernel begins with, but a persistent device may have been left with another size.
  int size = LINUX_TUN_HEADER_BYTES;
  return ioctl(fd, TUNSETVNETHDRSZ, &size) < 0 ? -errno : 0;
}

int linux_tun_offload(int fd, uint32_t bits) {
  return ioctl(fd, TUNSETOFFLOAD, (unsigned long)bits) < 0 ? -errno : 0;
}

int linux_tun_read_plain(int fd, void *base, uint32_t capacity) {
  char header[LINUX_TUN_HEADER_BYTES];
  struct iovec parts[2] = {{header, sizeof header}, {base, capacity}};
  ssize_t n = readv(fd, parts, 2);
  if (n < 0) return -errno;
  return n < (ssize_t)sizeof header ? 0 : (int)n - (int)sizeof header;
}

int linux_tun_write_plain(int fd, const void *base, uint32_t length) {
  static const char header[LINUX_TUN_HEADER_BYTES];
  struct iovec parts[2] = {{(void *)header, sizeof header}, {(void *)base, length}};
  ssize_t n = writev(fd, parts, 2);
  if (n < 0) return -errno;
  return n < (ssize_t)sizeof header ? 0 : (int)n - (int)sizeof header;
}
