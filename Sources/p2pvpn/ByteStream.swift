// A blocking stream socket: bytes up to a mark, bytes by number, all bytes until the end.

import Base
import Glibc
import Platform

/// Reads and writes one connection; the owner closes it.
struct ByteStream {
  let fd: Int32
  /// What was read and not handed out yet.
  private(set) var pending: [UInt8] = []
  /// Reads end then, however often a little has come.
  var deadline = Instant.never

  init(fd: Int32) { self.fd = fd }

  /// Whether nothing has come that was not handed out.
  var isEmpty: Bool { pending.isEmpty }

  /// How long a read or a write may wait for the other end; longer ones fail.
  func setPatience(_ patience: timeval) {
    var limit = patience
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
  }

  /// Waits for something to read, as long as it has patience; says whether there is.
  mutating func awaitByte() -> Bool { !pending.isEmpty || fill() > 0 }

  /// The bytes before `mark`, which is taken too; nil when the stream ends, fails or goes on for too long
  /// before it.
  mutating func read(through mark: [UInt8], atMost limit: Int) -> [UInt8]? {
    var searched = 0
    while true {
      var at = searched
      while at + mark.count <= pending.count {
        if pending[at...].starts(with: mark) {
          let found = Array(pending[..<at])
          pending.removeFirst(at + mark.count)
          return found
        }
        at += 1
      }
      searched = at
      guard pending.count <= limit, fill() > 0 else { return nil }
    }
  }

  /// Exactly `count` bytes; nil when the stream ends or fails before.
  mutating func read(count: Int) -> [UInt8]? {
    while pending.count < count { guard fill() > 0 else { return nil } }
    let found = Array(pending[..<count])
    pending.removeFirst(count)
    return found
  }

  /// Everything until the other side closes; nil (and errno) when the stream fails or goes on for too long.
  mutating func readAll(atMost limit: Int) -> [UInt8]? {
    while true {
      let count = fill()
      if count == 0 { return pending }
      guard count > 0, pending.count <= limit else { return nil }
    }
  }

  /// Writes all bytes.
  /// - Returns: whether they went.
  @discardableResult
  func write(_ bytes: [UInt8]) -> Bool {
    var sent = 0
    while sent < bytes.count {
      let count = bytes.withUnsafeBytes {
        send(fd, $0.baseAddress! + sent, $0.count - sent, Int32(MSG_NOSIGNAL))
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return false }
      sent += count
    }
    return true
  }

  /// Says nothing more, and takes what the other side still says, so that it reads what it was told before it
  /// finds the connection closed.
  mutating func turnAway() {
    shutdown(fd, Int32(SHUT_WR))
    deadline = Clock.now() + .seconds(1)
    var taken = 0
    while taken < 1 << 20 {
      let count = fill()
      guard count > 0 else { return }
      taken += count
      pending.removeAll()
    }
  }

  /// Reads what is there, waiting for the first byte.
  private mutating func fill() -> Int {
    var block = [UInt8](repeating: 0, count: 4_096)
    while true {
      if deadline != .never {
        let now = Clock.now()
        let left = deadline > now ? (deadline - now).ns / 1_000_000 + 1 : 0
        var end = pollfd(fd: fd, events: Int16(POLLIN), revents: 0)
        let count = poll(&end, 1, Int32(clamping: left))
        if count < 0, errno == EINTR { continue }
        if count == 0 {
          errno = EAGAIN
          return -1
        }
      }
      let count = recv(fd, &block, block.count, 0)
      if count < 0, errno == EINTR { continue }
      if count > 0 { pending += block[..<count] }
      return count
    }
  }
}
