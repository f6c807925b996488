// Datagrams of one size for one endpoint, one behind the other in memory: what leaves by one system call
// (UDP_SEGMENT). The last of them may be shorter, and ends the run.

/// A run that is being filled. Its memory is its own, and touched as it comes into use.
@safe public struct DatagramRun: ~Copyable {
  /// Bytes of one call at most: with the headers of UDP, IPv6 and Ethernet less than 65,536. A longer run is
  /// taken apart by the kernel, and comes in datagram by datagram: a quarter of the goodput.
  public static let bytesMax = 65_473
  /// Datagrams that one call takes at most (UDP_MAX_SEGMENTS of Linux before 6.9).
  public static let countMax = 64

  private let memory: UnsafeMutableRawPointer
  public private(set) var endpoint = Endpoint.none
  /// The traffic class of the outer headers: DSCP and ECN.
  public private(set) var trafficClass: UInt8 = 0
  /// The size of all datagrams but a shorter last one.
  public private(set) var segmentBytes = 0
  public private(set) var count = 0
  private var used = 0
  private var isClosed = false

  public init() { memory = .allocate(byteCount: Self.bytesMax, alignment: 64) }

  deinit { memory.deallocate() }

  public var isEmpty: Bool { used == 0 }

  /// The datagrams, one behind the other.
  public var frame: Frame { Frame(base: memory, count: used) }

  /// Room for one more datagram; nil when what is there must leave first.
  public func room(_ bytes: Int, to endpoint: Endpoint, trafficClass: UInt8) -> Frame? {
    precondition(bytes > 0 && bytes <= Self.bytesMax)
    if used > 0 {
      guard !isClosed, count < Self.countMax, bytes <= segmentBytes, used + bytes <= Self.bytesMax,
        endpoint == self.endpoint, trafficClass == self.trafficClass
      else { return nil }
    }
    return Frame(base: memory + used, count: bytes)
  }

  /// The datagram that was written to `room` belongs to the run.
  public mutating func add(_ bytes: Int, to endpoint: Endpoint, trafficClass: UInt8) {
    if used == 0 {
      self.endpoint = endpoint
      self.trafficClass = trafficClass
      segmentBytes = bytes
    }
    precondition(bytes <= segmentBytes && used + bytes <= Self.bytesMax)
    isClosed = bytes < segmentBytes
    used += bytes
    count += 1
  }

  public mutating func removeAll() {
    used = 0
    count = 0
    isClosed = false
  }
}
