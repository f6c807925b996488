// What waits to be written to a connection: whole frames, bounded in bytes and in time.
//
// TCP makes every byte wait for the one before, so a long queue is delay and nothing else: whoever sends
// through it learns of a full path by losses, as with UDP. While something waits that was put in 100 ms ago,
// large datagrams (data) are not taken; handshakes, questions and acknowledgements still are, until the
// memory is full. A frame is taken whole or not at all.
//
// Age is known to half the limit: every 50 ms the position of the end is noted. What lay there at the note
// before the last must have left.
import Base
import Glibc

/// A queue of framed datagrams. Belongs to one thread.
struct StreamQueue: ~Copyable {
  /// Touched as it comes into use: 100 ms at 20 Mbit/s, and a turn of full packets at any speed.
  static let capacity = 256 << 10
  /// Of that, for small datagrams only.
  static let reserve = 16 << 10
  /// Datagrams of this size and larger are data, as for relays.
  static let largeBytes = 600
  static let markEvery = Interval.milliseconds(50)
  /// The length before each datagram.
  static let headerBytes = 2

  private let memory: UnsafeMutableRawPointer
  private var head = 0
  private var tail = 0
  /// Bytes that were ever taken out.
  private var left: UInt64 = 0
  private var lastMark = Mark()
  private var markBefore = Mark()

  private struct Mark {
    var at = Instant.start
    var position: UInt64 = 0
  }

  init() { memory = .allocate(byteCount: Self.capacity, alignment: 64) }

  deinit { memory.deallocate() }

  var isEmpty: Bool { head == tail }

  /// All that waits.
  var waiting: Frame { Frame(base: memory + head, count: tail - head) }

  /// Takes a datagram with its length before it.
  /// - Returns: false, and nothing is taken, when it would have to wait too long.
  mutating func append(_ datagram: Frame, at now: Instant) -> Bool {
    if now - lastMark.at >= Self.markEvery {
      markBefore = lastMark
      lastMark = Mark(at: now, position: left + UInt64(tail - head))
    }
    let isLarge = datagram.count >= Self.largeBytes
    if isLarge && left < markBefore.position { return false }
    let bytes = Self.headerBytes + datagram.count
    let limit = isLarge ? Self.capacity - Self.reserve : Self.capacity
    guard tail - head + bytes <= limit else { return false }
    if tail + bytes > Self.capacity {
      memmove(memory, memory + head, tail - head)
      tail -= head
      head = 0
    }
    let frame = Frame(base: memory + tail, count: bytes)
    frame.setBig(0, UInt16(datagram.count))
    frame.dropping(Self.headerBytes).copy(datagram)
    tail += bytes
    return true
  }

  /// So many of the first bytes have left.
  mutating func removeFirst(_ bytes: Int) {
    precondition(bytes <= tail - head)
    head += bytes
    left += UInt64(bytes)
    if head == tail {
      head = 0
      tail = 0
    }
  }
}
