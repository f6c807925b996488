// Received runs: many datagrams of one size from one sender that the kernel hands over as one (UDP_GRO), and
// the memory for them.
//
// One call fills up to 16 buffers. A run is as long as the sender and the kernel made it, so a buffer takes
// the largest datagram there is; memory that no run has reached yet the kernel has not given. A socket that
// does not aggregate is read in the same way: its runs have one datagram each.
//
// *Invariant:* a run is never longer than its buffer, and its `segmentBytes` never exceeds its length.
import Base
import CLinux
import Glibc

/// Datagrams of one size from one sender, one behind the other; the last may be shorter.
public struct UDPRun: Sendable, BitwiseCopyable {
  /// Valid until the next call that receives into the same `UDPRuns`.
  public var frame: Frame
  /// Bytes of each datagram but the last; 0 only in a run of one empty datagram.
  public var segmentBytes: Int
  public var from: Endpoint
  /// The type of service (IPv4) or the traffic class (IPv6) of the IP headers.
  public var tos: UInt8

  /// How many they are. Mostly 64 at most, but what a sender on this machine made may have more.
  public var datagrams: Int {
    frame.count <= segmentBytes ? 1 : (frame.count &+ segmentBytes &- 1) / segmentBytes
  }
}

/// Memory for what one call receives, about 1 MiB of addresses. Belongs to one thread.
public final class UDPRuns {
  /// The most runs one call receives.
  public static let runsMax = Int(LINUX_RUNS_MAX)
  /// Bytes in front of each run that are its reader's.
  public static let roomBytes = 64
  /// Bytes of the longest run: no UDP payload is longer.
  public static let runBytesMax = 65_535

  /// A line of the cache more than a multiple of its size, or all runs would contend for the same sets.
  private static let strideBytes = 65_536 + roomBytes

  public private(set) var count = 0
  private let memory: UnsafeMutableRawPointer
  private let runs: UnsafeMutablePointer<linux_run>
  private var number = SocketNumber.main

  public init() {
    memory = .allocate(byteCount: Self.strideBytes * Self.runsMax, alignment: 4_096)
    runs = .allocate(capacity: Self.runsMax)
    for i in 0..<Self.runsMax {
      var run = linux_run()
      run.base = memory + Self.strideBytes * i + Self.roomBytes
      run.capacity = UInt32(Self.runBytesMax)
      runs[i] = run
    }
  }

  deinit {
    memory.deallocate()
    runs.deallocate()
  }

  /// A run of the last call.
  public subscript(index: Int) -> UDPRun {
    precondition(index >= 0 && index < count)
    let run = runs[index]
    return UDPRun(
      frame: Frame(base: run.base, count: Int(run.length)), segmentBytes: Int(run.segment),
      from: Endpoint(IPAddress(high: run.high, low: run.low), port: run.port).through(number), tos: run.tos)
  }

  func receive(_ fd: Int32, _ number: SocketNumber, _ batch: UDPBatch) -> Int {
    self.number = number
    count = 0
    for i in 0..<filled(fd, batch) {
      if runs[i].truncated != 0 {
        batch.counters.truncated &+= 1
        continue
      }
      // What is dropped changes places with what is kept: each buffer stays in the list.
      if count < i { (runs[count], runs[i]) = (runs[i], runs[count]) }
      let datagrams = self.datagrams(count)
      batch.counters.received &+= UInt64(datagrams)
      if datagrams > 1 { batch.counters.runsReceived &+= 1 }
      count &+= 1
    }
    return count
  }

  private func datagrams(_ index: Int) -> Int {
    let (length, segment) = (runs[index].length, runs[index].segment)
    return length <= segment ? 1 : Int((length &+ segment &- 1) / segment)
  }

  private func filled(_ fd: Int32, _ batch: UDPBatch) -> Int {
    for _ in 0..<8 {
      let count = linux_udp_receive_runs(fd, runs, Int32(Self.runsMax))
      if count >= 0 { return Int(count) }
      if count == -EAGAIN { return 0 }
      if count != -EINTR { batch.counters.reportedErrors &+= 1 }
    }
    return 0
  }
}
