// A blocking stream socket: bytes up to a mark, bytes by number, all bytes until the end.

import Glibc

/// Reads and writes one connection; the owner closes it.
struct ByteStream {
  let fd: Int32
  /// What was read and not handed out yet.
  private var pending: [UInt8] = []

  init(fd: Int32) { self.fd = fd }

  /// Whether nothing has come that was not handed out.
  var isEmpty: Bool { pending.isEmpty }

  /// How long a read or a write may wait for the other end; longer ones fail.
  func setPatience(_ patience: timeval) {
    var limit = patience
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
  }

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

  /// Reads what is there, waiting for the first byte.
  private mutating func fill() -> Int {
    var block = [UInt8](repeating: 0, count: 4_096)
    while true {
      let count = recv(fd, &block, block.count, 0)
      if count < 0, errno == EINTR { continue }
      if count > 0 { pending += block[..<count] }
      return count
    }
  }
}
