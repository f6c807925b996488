// What stands before each packet of the device: struct virtio_net_hdr (virtio 1.2, section 5.1.6).
//
// | offset | size | field |
// | --- | --- | --- |
// | 0 | 1 | flags: 1 the checksum is partial, 2 the checksum was found right |
// | 1 | 1 | kind of the train: 0 none, 1 TCP over IPv4, 4 TCP over IPv6, 5 UDP; bit 7: TCP with ECN |
// | 2 | 2 | bytes of all headers |
// | 4 | 2 | bytes of payload in each segment of the train |
// | 6 | 2 | checksum start: where summing begins, from the packet's first byte |
// | 8 | 2 | checksum offset: where the sum belongs, from there |
//
// All numbers are in the byte order of this machine, as legacy virtio has them. It is read as little-endian:
// on another machine this file has to change.

import Base

/// The header of 10 bytes between the device and us. It is never sent to a peer and never built from what a
/// peer says.
public struct VirtioHeader: Equatable, Sendable, BitwiseCopyable {
  /// Size in bytes.
  public static let bytes = 10

  /// Flag: the checksum field holds the sum of the pseudo-header only (VIRTIO_NET_HDR_F_NEEDS_CSUM).
  public static let needsChecksum: UInt8 = 1
  /// Flag: somebody has verified the checksum (VIRTIO_NET_HDR_F_DATA_VALID).
  public static let dataValid: UInt8 = 2

  /// The packet is no train (VIRTIO_NET_HDR_GSO_NONE).
  public static let single: UInt8 = 0
  /// A train of TCP over IPv4 (VIRTIO_NET_HDR_GSO_TCPV4).
  public static let tcp4: UInt8 = 1
  /// A train of TCP over IPv6 (VIRTIO_NET_HDR_GSO_TCPV6).
  public static let tcp6: UInt8 = 4
  /// A train of UDP datagrams (VIRTIO_NET_HDR_GSO_UDP_L4).
  public static let udp: UInt8 = 5
  /// Bit beside a kind of TCP: the train carries CWR (VIRTIO_NET_HDR_GSO_ECN).
  public static let ecn: UInt8 = 0x80

  public var flags: UInt8 = 0
  /// One of the kinds above, for TCP with or without `ecn`.
  public var gsoType: UInt8 = single
  /// A hint for whoever allocates; not believed.
  public var headerBytes: UInt16 = 0
  public var gsoSize: UInt16 = 0
  public var checksumStart: UInt16 = 0
  public var checksumOffset: UInt16 = 0

  /// The header of a packet that is complete.
  public init() {}

  /// Reads the first 10 bytes of `frame`; nil when they are fewer, or have bits whose meaning is unknown
  /// here.
  public init?(_ frame: Frame) {
    guard frame.count >= Self.bytes else { return nil }
    flags = frame[0]
    gsoType = frame[1]
    headerBytes = frame.little(2, as: UInt16.self)
    gsoSize = frame.little(4, as: UInt16.self)
    checksumStart = frame.little(6, as: UInt16.self)
    checksumOffset = frame.little(8, as: UInt16.self)
    guard flags & ~(Self.needsChecksum | Self.dataValid) == 0 else { return nil }
    switch gsoType {
    case Self.single, Self.tcp4, Self.tcp6, Self.udp, Self.tcp4 | Self.ecn, Self.tcp6 | Self.ecn: break
    default: return nil
    }
  }

  /// Writes the 10 bytes. *Precondition:* `frame` has as many.
  public func write(to frame: Frame) {
    frame[0] = flags
    frame[1] = gsoType
    frame.setLittle(2, headerBytes)
    frame.setLittle(4, gsoSize)
    frame.setLittle(6, checksumStart)
    frame.setLittle(8, checksumOffset)
  }
}
