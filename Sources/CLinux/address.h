// Addresses as the sockets' calls have them, and as Swift has them: two words in host order and a port.
#ifndef P2PVPN_ADDRESS_H
#define P2PVPN_ADDRESS_H

#include "CLinux.h"

#include <arpa/inet.h>
#include <endian.h>
#include <string.h>
#include <sys/socket.h>

union address {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
};

static inline socklen_t write_address(
    union address *to, int family, uint64_t high, uint64_t low, uint16_t port) {
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

static inline void read_address(const union address *from, struct linux_datagram *to) {
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

#endif
