// The virtual interface: what the kernel routes into it is read here, what is written here the kernel
// receives.
//
// A TUN device carries bare IP packets (no packet-information header). It is not persistent: when the process
// ends, by whatever cause, the interface, its addresses and its routes are gone. It belongs to the network
// namespace of the thread that made it.
import Base
import CLinux
import Glibc

/// A TUN interface, non-blocking. Belongs to one thread.
public final class TUNDevice {
  /// The name when none is asked for; the kernel puts the first free number in.
  public static let namePattern = "p2pvpn%d"
  /// The longest name that Linux allows, in bytes.
  public static let nameBytesMax = 15

  public let fd: Int32
  public let name: String
  /// The number of the interface, as `Netlink` wants it.
  public let index: Int32
  /// Packets the kernel did not take: the interface is down, or they are none.
  public private(set) var writeDrops: UInt64 = 0
  /// Somebody has deleted the interface. The descriptor stays readable from then on, and nothing comes any
  /// more: take it out of the loop.
  public private(set) var isLost = false

  /// - Parameter name: the interface's name; nil lets the kernel pick `p2pvpn0`, `p2pvpn1`, …
  public init(name wanted: String? = nil) throws(CallError) {
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
    name = String(decoding: bytes.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    index = Int32(bitPattern: if_nametoindex(name))
  }

  deinit { close(fd) }

  /// Reads one packet into `frame`.
  /// - Returns: its length; nil when there is none.
  public func read(into frame: Frame) -> Int? {
    let count = Glibc.read(fd, frame.base, frame.count)
    if count > 0 { return count }
    if count < 0, errno != EAGAIN, errno != EINTR { isLost = true }
    return nil
  }

  /// Hands one IP packet to the kernel.
  /// - Returns: false when the kernel did not take it (it is counted).
  @discardableResult
  public func write(_ frame: Frame) -> Bool {
    if Glibc.write(fd, frame.base, frame.count) == frame.count { return true }
    writeDrops &+= 1
    return false
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
