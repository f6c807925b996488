// What the UDP sockets of a node share: the slots that wait for datagrams, and those that wait to be sent.
//
// *Invariant:* between calls a batch holds up to 64 slots of the pool, ready for the next datagrams, so it
// must always be handed the same pool. What is queued is for one socket.
import Base
import CLinux
import Glibc

/// What became of a datagram.
public enum SendOutcome: Sendable, Equatable {
  case sent
  /// The socket's buffer or the device's queue is full.
  case full
  /// Larger than the MTU of the interface it would leave by.
  case tooLarge
  /// No route, or a firewall of this machine forbids it.
  case unreachable
}

/// A received datagram. The receiver owns the slot.
public struct Arrival: Sendable, BitwiseCopyable {
  public var packet: PacketRef
  public var from: Endpoint
}

/// The memory and the counters of a node's UDP sockets. Belongs to one thread.
public final class UDPBatch {
  public struct Counters: Sendable, Equatable {
    public var received: UInt64 = 0
    public var sent: UInt64 = 0
    /// Received, but longer than a slot takes.
    public var truncated: UInt64 = 0
    /// Received while the pool had no slot.
    public var noSlot: UInt64 = 0
    /// ICMP errors and the like that a call reported.
    public var reportedErrors: UInt64 = 0
    public var sendFull: UInt64 = 0
    public var sendTooLarge: UInt64 = 0
    public var sendUnreachable: UInt64 = 0
    /// Runs of two or more datagrams that one read brought as one; `received` counts their datagrams.
    public var runsReceived: UInt64 = 0
    /// Runs of two or more datagrams that the kernel cut; `sent` counts their datagrams.
    public var runsSent: UInt64 = 0
    /// Runs that went datagram by datagram, because the kernel does not cut what goes there.
    public var runsInPieces: UInt64 = 0
    /// Times the kernel was asked to cut a run and would not.
    public var cutsRefused: UInt64 = 0
  }

  /// The most datagrams one call moves.
  public static let datagramsMax = Int(LINUX_BATCH_MAX)

  public internal(set) var counters = Counters()
  /// Where the kernel does not cut runs.
  var refusals = CutRefusals()
  /// For tests: what the kernel is to have answered when it is asked to cut; 0 lets it answer for itself.
  var cutAnswer: Int32 = 0
  private let reserve: UnsafeMutablePointer<PacketRef>
  private let inbox: UnsafeMutablePointer<linux_datagram>
  private var reserved = 0
  private let arrivals: UnsafeMutablePointer<Arrival>
  private var arrived = 0
  private let queue: UnsafeMutablePointer<PacketRef>
  private let outbox: UnsafeMutablePointer<linux_datagram>
  private var queued = 0
  /// The socket that the queue is for.
  private var fd: Int32 = -1
  private var family: Int32 = 0

  public init() {
    reserve = .allocate(capacity: Self.datagramsMax)
    inbox = .allocate(capacity: Self.datagramsMax)
    arrivals = .allocate(capacity: Self.datagramsMax)
    queue = .allocate(capacity: Self.datagramsMax)
    outbox = .allocate(capacity: Self.datagramsMax)
  }

  deinit {
    reserve.deallocate()
    inbox.deallocate()
    arrivals.deallocate()
    queue.deallocate()
    outbox.deallocate()
  }

  /// A datagram of the last batch. Each is to be asked for once, for its slot has one owner.
  public func arrival(_ index: Int) -> Arrival {
    precondition(index >= 0 && index < arrived)
    return arrivals[index]
  }

  /// Gives back the slots that are held for the next batch and for `flush`, which forgets what was queued.
  public func returnSlots(to pool: inout PacketPool) {
    for i in 0..<reserved { pool.release(reserve[i]) }
    for i in 0..<queued { pool.release(queue[i]) }
    reserved = 0
    queued = 0
  }

  /// Sends what was queued, in order and (unless something fails) with one system call.
  /// - Returns: how many went; the others are dropped and counted.
  @discardableResult
  public func flush(_ pool: inout PacketPool) -> Int {
    var done = 0
    var gone = 0
    while done < queued {
      let n = linux_udp_send(fd, family, outbox + done, Int32(queued - done))
      if n > 0 {
        counters.sent &+= UInt64(n)
        gone += Int(n)
        done += Int(n)
        continue
      }
      let outcome = sent(n, of: outbox + done, fd, family)
      done += 1
      if outcome == .sent { gone += 1 }
      if outcome == .full {
        counters.sendFull &+= UInt64(queued - done)
        break
      }
    }
    for i in 0..<queued { pool.release(queue[i]) }
    queued = 0
    return gone
  }

  func enqueue(
    _ packet: PacketRef, to endpoint: Endpoint, _ fd: Int32, _ family: Int32, _ pool: inout PacketPool
  ) {
    if queued == Self.datagramsMax || (queued > 0 && fd != self.fd) { flush(&pool) }
    self.fd = fd
    self.family = family
    queue[queued] = packet
    outbox[queued] = linux_datagram(pool.frame(packet), to: endpoint)
    queued += 1
  }

  func send(_ frame: Frame, to endpoint: Endpoint, _ fd: Int32, _ family: Int32) -> SendOutcome {
    var datagram = linux_datagram(frame, to: endpoint)
    return sent(linux_udp_send(fd, family, &datagram, 1), of: &datagram, fd, family)
  }

  /// Judges the `result` of sending one datagram; tries again when the error was not about it.
  private func sent(
    _ result: Int32, of datagram: UnsafeMutablePointer<linux_datagram>, _ fd: Int32, _ family: Int32
  ) -> SendOutcome {
    var result = result
    var attempts = 0
    while attempts < 3, isForeign(result) {
      result = linux_udp_send(fd, family, datagram, 1)
      attempts += 1
    }
    return outcome(result, datagrams: 1)
  }

  /// Whether a `result` is not about the call: an error that was pending on the socket is reported by the
  /// next call, instead of its work.
  func isForeign(_ result: Int32) -> Bool {
    guard result == -EINTR || result == -ECONNREFUSED || result == -EPROTO else { return false }
    if result != -EINTR { counters.reportedErrors &+= 1 }
    return true
  }

  /// What the last `result` of a send says of its datagrams, which are counted as that.
  func outcome(_ result: Int32, datagrams: Int) -> SendOutcome {
    let count = UInt64(datagrams)
    switch result {
    case 0...:
      counters.sent &+= count
      return .sent
    case -EAGAIN, -ENOBUFS, -ENOMEM:
      counters.sendFull &+= count
      return .full
    case -EMSGSIZE:
      counters.sendTooLarge &+= count
      return .tooLarge
    default:
      counters.sendUnreachable &+= count
      return .unreachable
    }
  }

  func receive(_ fd: Int32, _ number: SocketNumber, _ pool: inout PacketPool) -> Int {
    arrived = 0
    while reserved < Self.datagramsMax, pool.available > 0,
      let ref = pool.take(length: PacketPool.payloadMax)
    {
      reserve[reserved] = ref
      inbox[reserved] = linux_datagram(pool.frame(ref))
      reserved += 1
    }
    guard reserved > 0 else {
      discard(fd)
      return 0
    }
    let count = receiveBatch(fd)
    var kept = 0
    for i in 0..<count {
      if inbox[i].truncated != 0 {
        counters.truncated &+= 1
        reserve[kept] = reserve[i]
        inbox[kept] = inbox[i]
        kept += 1
      } else {
        var ref = reserve[i]
        ref.length = UInt16(inbox[i].length)
        arrivals[arrived] = Arrival(packet: ref, from: inbox[i].endpoint.through(number))
        arrived += 1
      }
    }
    for i in count..<reserved {
      reserve[kept] = reserve[i]
      inbox[kept] = inbox[i]
      kept += 1
    }
    reserved = kept
    counters.received &+= UInt64(arrived)
    return arrived
  }

  private func receiveBatch(_ fd: Int32) -> Int {
    for _ in 0..<8 {
      let count = linux_udp_receive(fd, inbox, Int32(reserved))
      if count >= 0 { return Int(count) }
      if count == -EAGAIN { return 0 }
      if count != -EINTR { counters.reportedErrors &+= 1 }
    }
    return 0
  }

  /// Throws away a batch, because no slot is free: else the loop would be told of it again at once, for ever.
  private func discard(_ fd: Int32) {
    for _ in 0..<Self.datagramsMax {
      guard recv(fd, nil, 0, Int32(MSG_DONTWAIT)) >= 0 else { return }
      counters.noSlot &+= 1
    }
  }
}

extension linux_datagram {
  init(_ frame: Frame) {
    self.init()
    base = frame.base
    capacity = UInt32(frame.count)
  }

  init(_ frame: Frame, to endpoint: Endpoint) {
    self.init(frame)
    length = UInt32(frame.count)
    high = endpoint.address.high
    low = endpoint.address.low
    port = endpoint.port
  }

  var endpoint: Endpoint { Endpoint(IPAddress(high: high, low: low), port: port) }
}
