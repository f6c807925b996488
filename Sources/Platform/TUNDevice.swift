// The virtual interface: what the kernel routes into it is read here, what is written here the kernel
// receives.
//
// A TUN device carries IP packets, each behind a virtio header, and may carry superpackets: what the kernel
// would else have to cut and to sum before it hands it over (`TUNOffload`). Whoever does not care asks for
// none of it and uses the plain calls, which leave the header away.
//
// It is not persistent: when the process ends, by whatever cause, the interface, its addresses and its routes
// are gone. It belongs to the network namespace of the thread that made it.
//
// The virtio header has 10 bytes; `VirtioHeader` in VPN reads and writes it.
import Base
import CLinux
import Glibc

/// A TUN interface, non-blocking. Belongs to one thread.
public final class TUNDevice {
  /// The name when none is asked for; the kernel puts the first free number in.
  public static let namePattern = "p2pvpn%d"
  /// The longest name that Linux allows, in bytes.
  public static let nameBytesMax = 15
  /// Bytes of the virtio header.
  public static let headerBytes = Int(LINUX_TUN_HEADER_BYTES)

  public let fd: Int32
  public let name: String
  /// What the kernel took of the offload that was asked for.
  public let offload: TUNOffload
  /// The number of the interface, as `Netlink` wants it.
  public let index: Int32
  /// Packets the kernel did not take: the interface is down, or they are none.
  public private(set) var writeDrops: UInt64 = 0
  /// Somebody has deleted the interface. The descriptor stays readable from then on, and nothing comes any
  /// more: take it out of the loop.
  public private(set) var isLost = false

  /// - Parameters:
  ///   - name: the interface's name; nil lets the kernel pick `p2pvpn0`, `p2pvpn1`, …
  ///   - offload: what the kernel may leave to the reader; it may take less of it (`offload`).
  public init(name wanted: String? = nil, offload: TUNOffload = .all) throws(CallError) {
    let pattern = wanted ?? Self.namePattern
    guard (1...Self.nameBytesMax).contains(pattern.utf8.count), !pattern.utf8.contains(UInt8(ascii: "/"))
    else {
      throw CallError(
        "TUN interface \"\(pattern)\"", code: EINVAL, advice: "a name has 1 to 15 bytes and no slash")
    }
    let fd = try checked(
      open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK), "open /dev/net/tun", advice: Self.openAdvice)
    var bytes = Array(pattern.utf8CString) + [CChar](repeating: 0, count: 16)
    do throws(CallError) {
      try checkedNegated(
        linux_tun_attach(fd, &bytes), "make TUN interface \(pattern)",
        advice: { Self.attachAdvice($0, pattern) })
    } catch {
      close(fd)
      throw error
    }
    self.fd = fd
    self.offload = Self.negotiate(fd, offload)
    name = String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    index = Int32(bitPattern: if_nametoindex(name))
  }

  deinit { close(fd) }

  /// Reads one packet or superpacket into `frame`, with its virtio header in front.
  /// - Parameter frame: what does not fit is cut off; `headerBytes` + 65,535 bytes fit everything.
  /// - Returns: the length of both; nil when there is none.
  public func read(into frame: Frame) -> Int? {
    let count = Glibc.read(fd, frame.base, frame.count)
    if count > Self.headerBytes { return count }
    if count < 0, errno != EAGAIN, errno != EINTR { isLost = true }
    return nil
  }

  /// Reads one packet into `frame`, without the header.
  /// - Precondition: the device has no offload; a superpacket would need its header.
  /// - Returns: its length; nil when there is none.
  public func read(plain frame: Frame) -> Int? {
    precondition(offload.isEmpty)
    let count = linux_tun_read_plain(fd, frame.base, UInt32(truncatingIfNeeded: frame.count))
    if count > 0 { return Int(count) }
    if count < 0, count != -EAGAIN, count != -EINTR { isLost = true }
    return nil
  }

  /// Hands one packet or superpacket to the kernel. Its virtio header may say whatever the kernel knows, also
  /// what was not asked for as offload.
  /// - Parameter frame: begins with the header.
  /// - Returns: false when the kernel did not take it (it is counted).
  @discardableResult
  public func write(_ frame: Frame) -> Bool {
    if Glibc.write(fd, frame.base, frame.count) == frame.count { return true }
    writeDrops &+= 1
    return false
  }

  /// Hands one IP packet, with a complete checksum, to the kernel.
  /// - Returns: false when the kernel did not take it (it is counted).
  @discardableResult
  public func write(plain frame: Frame) -> Bool {
    let count = linux_tun_write_plain(fd, frame.base, UInt32(truncatingIfNeeded: frame.count))
    if Int(count) == frame.count { return true }
    writeDrops &+= 1
    return false
  }

  /// Asks for `wanted`, then for less and less: one kind that the kernel does not know, and it refuses all.
  private static func negotiate(_ fd: Int32, _ wanted: TUNOffload) -> TUNOffload {
    let full = wanted.isEmpty ? wanted : wanted.union(.checksum)
    for less in [full, full.subtracting(.udp), full.intersection(.checksum)] {
      if linux_tun_offload(fd, less.bits) == 0 { return less }
    }
    return []
  }

  private static func openAdvice(_ code: Int32) -> String {
    switch code {
    case ENOENT, ENODEV, ENXIO:
      "load the tun module (modprobe tun); in a container pass --device=/dev/net/tun to it"
    case EACCES, EPERM: "run as root or give the program CAP_NET_ADMIN"
    default: ""
    }
  }

  private static func attachAdvice(_ code: Int32, _ name: String) -> String {
    switch code {
    case EPERM, EACCES: "run as root or give the program CAP_NET_ADMIN"
    case EBUSY: "another program uses the interface \(name); stop it or choose another name"
    case EINVAL: "an interface \(name) of another kind exists, or the name is not allowed; choose another"
    default: ""
    }
  }
}
