// What Swift cannot import from the Linux headers: ioctls, system calls with GNU types, batches of messages.
//
// Every function returns a result of at least zero, or the negated errno. Nothing here decides anything.
#ifndef P2PVPN_CLINUX_H
#define P2PVPN_CLINUX_H

#include <stdint.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/signalfd.h>

/// The most messages or events one call takes.
#define LINUX_BATCH_MAX 64

/// One datagram of a batch. The address is in host order, an IPv4 address as the IPv4-mapped IPv6 address.
struct linux_datagram {
  void *base;
  uint64_t high;
  uint64_t low;
  uint32_t capacity;   // bytes at `base`
  uint32_t length;     // bytes of the datagram
  uint16_t port;
  uint16_t truncated;  // the datagram was longer than `capacity`
};

/// Receives up to `count` datagrams; fills `length`, `truncated` and the source of each.
int linux_udp_receive(int fd, struct linux_datagram *datagrams, int count);

/// Sends `count` datagrams through a socket of `family`. Returns how many went; an error only for the first
/// one.
int linux_udp_send(int fd, int family, const struct linux_datagram *datagrams, int count);

/// Datagrams of one size (the last may be shorter) from one sender, as one call receives them.
struct linux_run {
  void *base;
  uint64_t high;
  uint64_t low;
  uint32_t capacity;   // bytes at `base`
  uint32_t length;     // bytes of all the datagrams
  uint32_t segment;    // bytes of each; as many as `length` when there is one
  uint16_t port;
  uint8_t tos;         // the type of service or traffic class of the outer header
  uint8_t truncated;   // there was more than `capacity`
};

/// The most runs one call receives.
#define LINUX_RUNS_MAX 16

/// Asks for the type of service of what `fd`, a socket of `family`, receives. What fails is left out.
void linux_udp_report_tos(int fd, int family);

/// Lets the kernel hand over several datagrams of one sender as one (UDP_GRO, Linux 5.0).
int linux_udp_aggregate(int fd);

/// Whether the kernel cuts a send into datagrams (UDP_SEGMENT, Linux 4.18): 0, or why not.
int linux_udp_segments(int fd);

/// Receives up to `count` runs; fills all but `base` and `capacity` of each.
int linux_udp_receive_runs(int fd, struct linux_run *runs, int count);

/// Sends the bytes of `run` with one call, cut by the kernel into datagrams of `segment` bytes (0: one
/// datagram), each with the type of service `tos`. Returns the bytes that went.
int linux_udp_send_run(int fd, int family, const struct linux_datagram *run, uint16_t segment, uint8_t tos);

/// The same without the kernel's help: up to 64 datagrams. Returns how many went; an error only for the
/// first one.
int linux_udp_send_pieces(
    int fd, int family, const struct linux_datagram *run, uint16_t segment, uint8_t tos);

/// Binds `fd`, a socket of `family`, to an address.
int linux_udp_bind(int fd, int family, uint64_t high, uint64_t low, uint16_t port);

/// The address that `fd` is bound to.
int linux_udp_local(int fd, struct linux_datagram *local);

/// Begins a connection of `fd`, a non-blocking socket of `family`.
int linux_tcp_connect(int fd, int family, uint64_t high, uint64_t low, uint16_t port);

/// The next connection that somebody has made to `fd`, non-blocking; writes where it comes from.
int linux_tcp_accept(int fd, struct linux_datagram *from);

/// Adds `fd` to `epoll`: the token comes back when it can be read.
int linux_epoll_add(int epoll, int fd, uint32_t token);

/// Changes what is waited for at `fd`: that it can be read, and also, when `writes` is not 0, be written.
int linux_epoll_change(int epoll, int fd, uint32_t token, int writes);

/// Makes a timer that goes on while the machine is suspended; `epoll` says its token once when it fires.
int linux_epoll_add_timer(int epoll, uint32_t token);

/// Sets the timer to fire after `ns`.
void linux_timer_set(int timer, int64_t ns);

/// Waits until something is ready or `timeout_ns` have passed (for ever when negative); writes up to `count`
/// tokens.
int linux_epoll_wait(int epoll, uint32_t *tokens, int count, int64_t timeout_ns);

/// What a TUN device may leave to its reader: TUN_F_CSUM, TUN_F_TSO4, … of linux/if_tun.h. The last two came
/// with Linux 6.2.
#define LINUX_TUN_CHECKSUM 0x01
#define LINUX_TUN_TSO4 0x02
#define LINUX_TUN_TSO6 0x04
#define LINUX_TUN_TSO_ECN 0x08
#define LINUX_TUN_USO4 0x20
#define LINUX_TUN_USO6 0x40

/// Bytes of `struct virtio_net_hdr`, which every packet of a TUN device begins with.
#define LINUX_TUN_HEADER_BYTES 10

/// Attaches `fd`, an open /dev/net/tun, to a TUN interface without packet information and with virtio
/// headers of 10 bytes. `name` (16 bytes) holds the wanted name or a pattern such as "vpn%d", and then the
/// interface's own.
int linux_tun_attach(int fd, char *name);

/// Says what the reader of the device takes. One bit that the kernel does not know, and it refuses all.
int linux_tun_offload(int fd, uint32_t bits);

/// Reads a packet; its virtio header goes nowhere. Returns the bytes of the packet.
int linux_tun_read_plain(int fd, void *base, uint32_t capacity);

/// Writes a packet behind a virtio header of zeros. Returns the bytes of the packet.
int linux_tun_write_plain(int fd, const void *base, uint32_t length);

/// Gives up all capabilities of this thread, but CAP_NET_ADMIN when it has it, and the way back to them.
int linux_keep_net_admin(void);

#endif
