// What the kernel leaves to the reader of a TUN device, so that a train of packets is one read.
//
// The kinds depend on each other: packets that the reader cuts get their checksums from it, so TCP and UDP
// need the checksum. Families are not told apart: every kernel that knows one knows the other.
//
// TCP comes with explicit congestion notification (TUN_F_TSO_ECN): a superpacket whose CWR flag is set comes
// whole, with VIRTIO_NET_HDR_GSO_ECN (0x80) in the kind of its header, and whoever cuts it leaves CWR in the
// first segment and clears it in all others (RFC 3168 section 6.1.2: it is said once). Without it the kernel
// would cut these by itself. Superpackets of accurate ECN, where every segment keeps the flag, the kernel
// never hands over.
import CLinux

/// A set of what a TUN device hands over unfinished.
public struct TUNOffload: OptionSet, Sendable {
  public let rawValue: UInt8

  public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// Packets whose transport checksum is partial: only the sum of the pseudo-header stands in its place.
  public static let checksum = TUNOffload(rawValue: 1)
  /// Superpackets of TCP, up to 65,535 bytes. Includes the checksum.
  public static let tcp = TUNOffload(rawValue: 2)
  /// Superpackets of UDP datagrams of one size (Linux 6.2). Includes the checksum.
  public static let udp = TUNOffload(rawValue: 4)

  public static let all: TUNOffload = [.checksum, .tcp, .udp]

  /// As TUNSETOFFLOAD has it.
  var bits: UInt32 {
    var bits: Int32 = 0
    if contains(.checksum) { bits |= LINUX_TUN_CHECKSUM }
    if contains(.tcp) { bits |= LINUX_TUN_TSO4 | LINUX_TUN_TSO6 | LINUX_TUN_TSO_ECN }
    // The kernel takes both or none.
    if contains(.udp) { bits |= LINUX_TUN_USO4 | LINUX_TUN_USO6 }
    return UInt32(bits)
  }
}
