// Sent runs: datagrams of one size that leave with one call, because the kernel cuts them (UDP_SEGMENT).
//
// Not every route has that: the kernel refuses with EIO where a packet is transformed on its way (IPsec) and,
// before Linux 6.11, where the device does not sum. Then the datagrams of the run go one by one, in the same
// call, and the address is remembered: so a refusal costs one useless call in 1,024 runs, and one bad route
// does not slow down the others.
//
// EINVAL says several things: a datagram above the MTU of the route (EMSGSIZE in newer kernels), a bad
// destination, a socket without checksums. What it meant is seen when the datagrams go one by one.
import Base
import CLinux
import Glibc

extension UDPSocket {
  /// The most bytes of a run: the payload of the largest IPv4 datagram, 65,535 less 20 of IP and 8 of UDP
  /// (`ip_append_data` takes no more, cut or not). IPv6 would take 65,527, because its payload length does
  /// not count its own header.
  ///
  /// Above `runBytesWhole` the kernel cuts in software, before the device.
  public static let runBytesMax = 65_507

  /// The most bytes of a run that a device takes whole: with its headers (14 of Ethernet, 40 of IPv6, 8 of
  /// UDP) a superpacket has to be shorter than 65,536 bytes, the usual limit of a device (`gso_max_size`;
  /// `gso_features_check`). To an IPv4 address it would be 20 more. Longer runs go, but at several times the
  /// cost.
  public static let runBytesWhole = 65_473

  /// The most datagrams of a run: `UDP_MAX_SEGMENTS` of kernels before Linux 6.9. Later ones take 128, but
  /// cannot be told apart by asking.
  public static let runSegmentsMax = 64
}

/// Addresses to which the kernel does not cut runs: one for each of 64 hashes, the latest.
struct CutRefusals {
  /// Runs after which the kernel is asked again.
  static let runs: UInt32 = 1_024
  private static let capacity = 64

  private struct Entry: BitwiseCopyable {
    var address = IPAddress.unspecified
    var runsLeft: UInt32 = 0
  }

  private var entries = [Entry](repeating: Entry(), count: capacity)
  /// Entries with runs left: mostly 0, and then nothing is looked up.
  private var live = 0

  mutating func add(_ address: IPAddress) {
    let place = Self.place(address)
    if entries[place].runsLeft == 0 { live &+= 1 }
    entries[place] = Entry(address: address, runsLeft: Self.runs)
  }

  /// Whether the next run to `address` goes uncut, for which it counts.
  mutating func take(_ address: IPAddress) -> Bool {
    guard live > 0 else { return false }
    let place = Self.place(address)
    guard entries[place].runsLeft > 0, entries[place].address == address else { return false }
    entries[place].runsLeft &-= 1
    if entries[place].runsLeft == 0 { live &-= 1 }
    return true
  }

  /// The top bits of a product (Knuth's multiplicative hash).
  private static func place(_ address: IPAddress) -> Int {
    Int(truncatingIfNeeded: ((address.high ^ address.low) &* 0x9E37_79B9_7F4A_7C15) >> 58)
  }
}

extension UDPBatch {
  /// Sends a run, as `UDPSocket.send(run:segmentBytes:to:tos:)` says it.
  /// - Parameter mayCut: whether the kernel knows how to cut.
  func send(
    run frame: Frame, _ segmentBytes: Int, to endpoint: Endpoint, tos: UInt8, _ fd: Int32, _ family: Int32,
    mayCut: Bool
  ) -> SendOutcome {
    precondition(segmentBytes > 0)
    var run = linux_datagram(frame, to: endpoint)
    guard frame.count > segmentBytes else {
      return outcome(sendWhole(fd, family, &run, segment: 0, tos), datagrams: 1)
    }
    let datagrams = (frame.count &+ segmentBytes &- 1) / segmentBytes
    precondition(frame.count <= UDPSocket.runBytesMax && datagrams <= UDPSocket.runSegmentsMax)
    let segment = UInt16(segmentBytes)
    guard mayCut, !refusals.take(endpoint.address) else {
      return sendInPieces(fd, family, run, datagrams, segment, tos)
    }
    let result = cutAnswer == 0 ? sendWhole(fd, family, &run, segment: segment, tos) : cutAnswer
    if result >= 0 { counters.runsSent &+= 1 }
    guard result == -EIO || result == -EINVAL || result == -ENOPROTOOPT else {
      return outcome(result, datagrams: datagrams)
    }
    let outcome = sendInPieces(fd, family, run, datagrams, segment, tos)
    if result != -EINVAL || outcome == .sent {
      counters.cutsRefused &+= 1
      refusals.add(endpoint.address)
    }
    return outcome
  }

  /// One call for the whole run; again when an error was not about it.
  private func sendWhole(
    _ fd: Int32, _ family: Int32, _ run: inout linux_datagram, segment: UInt16, _ tos: UInt8
  ) -> Int32 {
    var result = linux_udp_send_run(fd, family, &run, segment, tos)
    var attempts = 0
    while attempts < 3, isForeign(result) {
      result = linux_udp_send_run(fd, family, &run, segment, tos)
      attempts &+= 1
    }
    return result
  }

  /// Sends the datagrams of a run one by one, and ends with the first that does not go.
  private func sendInPieces(
    _ fd: Int32, _ family: Int32, _ run: linux_datagram, _ datagrams: Int, _ segment: UInt16, _ tos: UInt8
  ) -> SendOutcome {
    var rest = run
    var left = datagrams
    var attempts = 0
    while left > 0 {
      let result = linux_udp_send_pieces(fd, family, &rest, segment, tos)
      if result > 0 {
        counters.sent &+= UInt64(result)
        left &-= Int(result)
        guard left > 0 else { break }
        rest.base += Int(result) &* Int(segment)
        rest.length &-= UInt32(result) &* UInt32(segment)
      } else if attempts == 3 || !isForeign(result) {
        return outcome(result == 0 ? -EAGAIN : result, datagrams: left)
      } else {
        attempts &+= 1
      }
    }
    counters.runsInPieces &+= 1
    return .sent
  }
}
