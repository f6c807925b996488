// Giving up privileges. The C library has no call for it, and libcap is not worth a dependency.
#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int linux_keep_net_admin(void) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  struct __user_cap_data_struct sets[2] = {{0}};
  if (syscall(SYS_capget, &header, sets) < 0) return -errno;
  uint32_t kept = sets[0].permitted & (1u << CAP_NET_ADMIN);
  sets[0] = (struct __user_cap_data_struct){.effective = kept, .permitted = kept, .inheritable = 0};
  sets[1] = (struct __user_cap_data_struct){0};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return -errno;
  return syscall(SYS_capset, &header, sets) < 0 ? -errno : 0;
}
