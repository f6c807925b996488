// Addresses, routes and interfaces of this machine, set and read through rtnetlink(7); no `ip` command is
// run.
//
// Each request waits for the kernel's own answer, so that what was asked for is in place, or an error says
// why not, when the call returns. These are calls of set-up: they block (microseconds) and allocate.
import Base
import CLinux
import Glibc

/// One address of an interface.
public struct InterfaceAddress: Sendable, Equatable {
  public var index: Int32
  public var name: String
  /// The address itself, and the length of its prefix.
  public var prefix: IPPrefix
  public var isUp: Bool
  public var isLoopback: Bool

  public init(index: Int32, name: String, prefix: IPPrefix, isUp: Bool, isLoopback: Bool) {
    self.index = index
    self.name = name
    self.prefix = prefix
    self.isUp = isUp
    self.isLoopback = isLoopback
  }
}

/// A conversation with the kernel about its network, in the network namespace of the thread that began it.
public final class Netlink {
  private let fd: Int32
  private var sequence: UInt32 = 0
  private var buffer = [UInt8](repeating: 0, count: 64 << 10)

  public init() throws(CallError) {
    let type = Int32(SOCK_RAW.rawValue | SOCK_CLOEXEC.rawValue)
    fd = try checked(socket(AF_NETLINK, type, NETLINK_ROUTE), "socket AF_NETLINK")
    // The kernel answers before `send` returns; a time-out is for kernels (and sandboxes) that do not.
    var patience = timeval(tv_sec: 5, tv_usec: 0)
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
  }

  deinit { close(fd) }

  /// Gives the interface an address. An IPv4 address has the broadcast address of its prefix; an IPv6 address
  /// is usable at once (no duplicate address detection: on a TUN interface there is nobody to ask). The route
  /// to the prefix comes with it. An address that is there already stays.
  public func addAddress(_ index: Int32, _ prefix: IPPrefix) throws(CallError) {
    var message = Self.message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, index, prefix)
    if prefix.address.isV4, prefix.length < 31 {
      message.attribute(UInt32(IFA_BROADCAST), prefix.broadcast.networkBytes)
    }
    try request(message, "add address \(prefix)")
  }

  /// Takes an address from the interface, and with it the route to its prefix.
  public func removeAddress(_ index: Int32, _ prefix: IPPrefix) throws(CallError) {
    try request(Self.message(RTM_DELADDR, 0, index, prefix), "remove address \(prefix)")
  }

  /// Switches the interface on.
  /// - Parameters:
  ///   - mtu: the largest packet in bytes.
  ///   - txQueueLength: packets that wait to be read before the kernel drops; nil leaves it as it is.
  public func setUp(_ index: Int32, mtu: Int, txQueueLength: Int? = nil) throws(CallError) {
    var body = ifinfomsg()
    body.ifi_index = index
    body.ifi_flags = UInt32(IFF_UP)
    body.ifi_change = UInt32(IFF_UP)
    var message = NetlinkMessage(type: Int32(RTM_NEWLINK), flags: NLM_F_REQUEST | NLM_F_ACK, body: body)
    message.attribute(UInt32(IFLA_MTU), UInt32(mtu))
    if let txQueueLength { message.attribute(UInt32(IFLA_TXQLEN), UInt32(txQueueLength)) }
    try request(message, "set interface \(index) up with MTU \(mtu)")
  }

  /// Bounds the superpackets that this machine's own programs send by the interface. What is forwarded to it
  /// and is larger the kernel cuts by itself, at some cost.
  /// - Parameters:
  ///   - bytes: of a superpacket, at most 65,536. Up to there it is the limit of IPv4 too, which has one of
  ///     its own since Linux 6.3 (`netif_set_gso_max_size`).
  ///   - segments: packets that a superpacket stands for, at most 65,535.
  public func setGSOLimits(_ index: Int32, bytes: Int, segments: Int) throws(CallError) {
    precondition((1...65_536).contains(bytes) && (1...65_535).contains(segments))
    var body = ifinfomsg()
    body.ifi_index = index
    var message = NetlinkMessage(type: Int32(RTM_NEWLINK), flags: NLM_F_REQUEST | NLM_F_ACK, body: body)
    message.attribute(UInt32(IFLA_GSO_MAX_SIZE), UInt32(bytes))
    message.attribute(UInt32(IFLA_GSO_MAX_SEGS), UInt32(segments))
    try request(message, "bound superpackets of interface \(index) to \(bytes) bytes")
  }

  /// Keeps the kernel from giving the interface a link-local address when it comes up. Fails where the
  /// machine has no IPv6.
  public func stopAddressGeneration(_ index: Int32) throws(CallError) {
    var body = ifinfomsg()
    body.ifi_index = index
    var message = NetlinkMessage(type: Int32(RTM_NEWLINK), flags: NLM_F_REQUEST | NLM_F_ACK, body: body)
    let mode = NetlinkMessage.nested(
      UInt32(IFLA_INET6_ADDR_GEN_MODE), [UInt8(IN6_ADDR_GEN_MODE_NONE.rawValue)])
    message.attribute(UInt32(IFLA_AF_SPEC), NetlinkMessage.nested(UInt32(AF_INET6), mode))
    try request(message, "stop address generation on interface \(index)")
  }

  /// Deletes an interface that software has made.
  public func removeInterface(_ index: Int32) throws(CallError) {
    var body = ifinfomsg()
    body.ifi_index = index
    let message = NetlinkMessage(type: Int32(RTM_DELLINK), flags: NLM_F_REQUEST | NLM_F_ACK, body: body)
    try request(message, "remove interface \(index)")
  }

  /// Routes a prefix to the interface, in place of an equal route that is there.
  public func addRoute(_ prefix: IPPrefix, _ index: Int32) throws(CallError) {
    try request(Self.route(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, prefix, index), "add route \(prefix)")
  }

  public func removeRoute(_ prefix: IPPrefix, _ index: Int32) throws(CallError) {
    try request(Self.route(RTM_DELROUTE, 0, prefix, index), "remove route \(prefix)")
  }

  /// All addresses of all interfaces, in the order of the kernel.
  public func interfaces() throws(CallError) -> [InterfaceAddress] {
    // A dump that a change interrupted is incomplete; the kernel says so, and it is asked again.
    for _ in 0..<8 { if let list = try snapshot() { return list } }
    throw CallError(
      "list addresses", code: EINTR, advice: "the interfaces change all the time; try again later")
  }

  private func snapshot() throws(CallError) -> [InterfaceAddress]? {
    struct Link {
      var index: Int32
      var name: String
      var flags: UInt32
    }
    var links: [Link] = []
    let first = try dump(Int32(RTM_GETLINK), ifinfomsg(), "list interfaces") { reply in
      guard reply.type == Int32(RTM_NEWLINK), let body = reply.fixed(ifinfomsg.self) else { return }
      var name = ""
      reply.attributes(after: ifinfomsg.self) { type, value in
        if type == UInt32(IFLA_IFNAME) { name = String(decoding: value.prefix { $0 != 0 }, as: UTF8.self) }
      }
      links.append(Link(index: body.ifi_index, name: name, flags: body.ifi_flags))
    }
    var list: [InterfaceAddress] = []
    let second = try dump(Int32(RTM_GETADDR), ifaddrmsg(), "list addresses") { reply in
      guard reply.type == Int32(RTM_NEWADDR), let body = reply.fixed(ifaddrmsg.self) else { return }
      let index = Int32(bitPattern: body.ifa_index)
      guard let address = Self.address(reply), let link = links.first(where: { $0.index == index }) else {
        return
      }
      list.append(
        InterfaceAddress(
          index: index, name: link.name, prefix: IPPrefix(address, length: body.ifa_prefixlen),
          isUp: link.flags & UInt32(IFF_UP) != 0,
          isLoopback: link.flags & UInt32(IFF_LOOPBACK) != 0))
    }
    return first && second ? list : nil
  }

  /// IFA_LOCAL is ours; IFA_ADDRESS is the peer's on a point-to-point link and ours elsewhere.
  private static func address(_ reply: NetlinkReply) -> IPAddress? {
    var own: IPAddress?
    var other: IPAddress?
    reply.attributes(after: ifaddrmsg.self) { type, value in
      if type == UInt32(IFA_LOCAL) { own = IPAddress(networkBytes: value) }
      if type == UInt32(IFA_ADDRESS) { other = IPAddress(networkBytes: value) }
    }
    return own ?? other
  }

  private static func message(_ type: Int, _ flags: Int32, _ index: Int32, _ prefix: IPPrefix)
    -> NetlinkMessage
  {
    var body = ifaddrmsg()
    body.ifa_family = UInt8(prefix.address.isV4 ? AF_INET : AF_INET6)
    body.ifa_prefixlen = prefix.length
    body.ifa_flags = prefix.address.isV4 ? 0 : UInt8(IFA_F_NODAD)
    body.ifa_index = UInt32(bitPattern: index)
    var message = NetlinkMessage(type: Int32(type), flags: NLM_F_REQUEST | NLM_F_ACK | flags, body: body)
    message.attribute(UInt32(IFA_LOCAL), prefix.address.networkBytes)
    message.attribute(UInt32(IFA_ADDRESS), prefix.address.networkBytes)
    return message
  }

  private static func route(_ type: Int, _ flags: Int32, _ prefix: IPPrefix, _ index: Int32) -> NetlinkMessage
  {
    var body = rtmsg()
    body.rtm_family = UInt8(prefix.address.isV4 ? AF_INET : AF_INET6)
    body.rtm_dst_len = prefix.length
    body.rtm_table = UInt8(RT_TABLE_MAIN.rawValue)
    body.rtm_protocol = UInt8(RTPROT_STATIC)
    body.rtm_scope = UInt8(prefix.address.isV4 ? RT_SCOPE_LINK.rawValue : RT_SCOPE_UNIVERSE.rawValue)
    body.rtm_type = UInt8(RTN_UNICAST)
    var message = NetlinkMessage(type: Int32(type), flags: NLM_F_REQUEST | NLM_F_ACK | flags, body: body)
    message.attribute(UInt32(RTA_DST.rawValue), prefix.network.address.networkBytes)
    message.attribute(UInt32(RTA_OIF.rawValue), UInt32(bitPattern: index))
    return message
  }
}

// The conversation.
extension Netlink {
  private func request(_ message: consuming NetlinkMessage, _ name: String) throws(CallError) {
    try send(message, name)
    _ = try answers(name) { _ in }
  }

  /// - Returns: false when a change interrupted the dump.
  private func dump<Body: BitwiseCopyable>(
    _ type: Int32, _ body: Body, _ name: String, _ visit: (NetlinkReply) -> Void
  ) throws(CallError) -> Bool {
    try send(NetlinkMessage(type: type, flags: NLM_F_REQUEST | NLM_F_DUMP, body: body), name)
    return try answers(name, visit)
  }

  private func send(_ message: consuming NetlinkMessage, _ name: String) throws(CallError) {
    sequence &+= 1
    let bytes = message.finished(sequence: sequence)
    try checked(Int32(clamping: Glibc.send(fd, bytes, bytes.count, 0)), name, advice: Self.advice)
  }

  /// Reads until the kernel has acknowledged the request or ended its dump.
  private func answers(_ name: String, _ visit: (NetlinkReply) -> Void) throws(CallError) -> Bool {
    var complete = true
    var verdict: Int32?
    while verdict == nil {
      let count = recv(fd, &buffer, buffer.count, 0)
      if count < 0 && errno == EINTR { continue }
      try checked(Int32(clamping: count), name, advice: Self.advice)
      buffer.withUnsafeBytes { bytes in
        NetlinkReply.split(UnsafeRawBufferPointer(rebasing: bytes[..<count])) { reply in
          guard reply.sequence == sequence else { return true }
          if reply.wasInterrupted { complete = false }
          switch reply.type {
          case NLMSG_ERROR: verdict = reply.fixed(Int32.self) ?? -EBADMSG
          case NLMSG_DONE: verdict = 0
          default: visit(reply)
          }
          return verdict == nil
        }
      }
    }
    try checkedNegated(verdict ?? 0, name, advice: Self.advice)
    return complete
  }

  private static func advice(_ code: Int32) -> String {
    switch code {
    case EPERM, EACCES: "run as root or give the program CAP_NET_ADMIN"
    case ENODEV, ENXIO: "the interface is gone; was it deleted by another program?"
    case EOPNOTSUPP, EAFNOSUPPORT: "IPv6 may be switched off on this machine (net.ipv6.conf.*.disable_ipv6)"
    default: ""
    }
  }
}

extension IPAddress {
  /// 4 or 16 bytes, most significant first.
  fileprivate var networkBytes: [UInt8] {
    if isV4 { return withUnsafeBytes(of: v4.bigEndian) { Array($0) } }
    return withUnsafeBytes(of: high.bigEndian) { Array($0) }
      + withUnsafeBytes(of: low.bigEndian) { Array($0) }
  }

  fileprivate init?(networkBytes bytes: UnsafeRawBufferPointer) {
    switch bytes.count {
    case 4: self.init(v4: UInt32(bigEndian: bytes.loadUnaligned(as: UInt32.self)))
    case 16:
      self.init(
        high: UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)),
        low: UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)))
    default: return nil
    }
  }
}
