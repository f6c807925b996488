// Waiting with nanoseconds: epoll_pwait2 (Linux 5.11), else epoll_wait with its milliseconds rounded up. And
// a timer that goes on while the machine is suspended, as neither of these does.
#define _GNU_SOURCE
#include "CLinux.h"

#include <errno.h>
#include <limits.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 441  // the same number on every architecture
#endif

int linux_epoll_add(int epoll, int fd, uint32_t token) {
  struct epoll_event event = {.events = EPOLLIN, .data = {.u64 = token}};
  return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int linux_epoll_change(int epoll, int fd, uint32_t token, int writes) {
  struct epoll_event event = {.events = EPOLLIN | (writes ? EPOLLOUT : 0), .data = {.u64 = token}};
  return epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event) < 0 ? -errno : 0;
}

int linux_epoll_add_timer(int epoll, uint32_t token) {
  int timer = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
  if (timer < 0) return -errno;
  // Edge triggered: who is told needs not read it.
  struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data = {.u64 = token}};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &event) == 0) return timer;
  int error = errno;
  close(timer);
  return -error;
}

void linux_timer_set(int timer, int64_t ns) {
  struct itimerspec in = {.it_value = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000}};
  timerfd_settime(timer, 0, &in, NULL);
}

static int wait_ms(int epoll, struct epoll_event *events, int count, int64_t timeout_ns) {
  int64_t ms = timeout_ns < 0 ? -1 : timeout_ns / 1000000 + (timeout_ns % 1000000 != 0);
  return epoll_wait(epoll, events, count, ms > INT_MAX ? INT_MAX : (int)ms);
}

int linux_epoll_wait(int epoll, uint32_t *tokens, int count, int64_t timeout_ns) {
  static _Atomic int has_pwait2 = 1;
  struct epoll_event events[LINUX_BATCH_MAX];
  if (count > LINUX_BATCH_MAX) count = LINUX_BATCH_MAX;
  int n = -1;
  if (has_pwait2) {
    // The kernel's 64-bit timespec, whatever the C library's is.
    struct { int64_t seconds, nanoseconds; } timeout = {timeout_ns / 1000000000, timeout_ns % 1000000000};
    n = (int)syscall(SYS_epoll_pwait2, epoll, events, count, timeout_ns < 0 ? NULL : &timeout, NULL, 0);
    // Some sandboxes answer an unknown call with EPERM.
    if (n < 0 && (errno == ENOSYS || errno == EPERM)) has_pwait2 = 0;
  }
  if (!has_pwait2) n = wait_ms(epoll, events, count, timeout_ns);
  if (n < 0) return -errno;
  for (int i = 0; i < n; i++) tokens[i] = (uint32_t)events[i].data.u64;
  return n;
}
