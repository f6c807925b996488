// Goal: the kernel says who is at the other end of a Unix socket, and nobody is taken for somebody else.

import Glibc
import Platform
import Testing

@Suite struct PeerCredentialsTests {
  @Test func theOtherEndOfAUnixSocketHasAUser() throws {
    var ends: [Int32] = [-1, -1]
    try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
    defer { for end in ends { close(end) } }
    #expect(PeerCredentials.user(of: ends[0]) == geteuid())
  }

  @Test func whatIsNoUnixSocketHasNone() throws {
    var ends: [Int32] = [-1, -1]
    try #require(pipe(&ends) == 0)
    defer { for end in ends { close(end) } }
    #expect(PeerCredentials.user(of: ends[0]) == nil && PeerCredentials.user(of: -1) == nil)
  }

  @Test func aThreadWithASmallStackRuns() throws {
    var ends: [Int32] = [-1, -1]
    try #require(pipe(&ends) == 0)
    defer { close(ends[0]) }
    let writing = ends[1]
    try detach(stackBytes: 256 << 10) { close(writing) }
    var byte: UInt8 = 0
    #expect(read(ends[0], &byte, 1) == 0)
  }
}
