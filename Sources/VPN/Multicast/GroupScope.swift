// How far packets for a multicast address go, and where on the subring its group is looked after.
//
// IPv4 scopes: RFC 5771 and RFC 2365; IPv6: RFC 4291, section 2.7. What is for the link (224.0.0.0/24, scope
// 2) goes to all members: the subring is the link, and hosts do not always report such groups. So does the
// search for services by SSDP, which everybody takes part in.

import Base
import Session

/// To whom packets for a multicast address go.
enum GroupScope: Equatable {
  /// Nobody: the address means the machine itself, or nothing.
  case machine
  /// All members.
  case everybody
  /// The members that have reported the group.
  case receivers

  /// 239.255.255.250 and ff05::c (UPnP Device Architecture 1.1, section 1 and annex A).
  private static let ssdp = IPAddress(v4: 0xEFFF_FFFA)
  private static let ssdp6 = IPAddress(high: 0xFF05 << 48, low: 0xC)

  /// Nil when the address is no multicast address.
  init?(_ address: IPAddress) {
    guard address.isMulticast else { return nil }
    if address == Self.ssdp || address == Self.ssdp6 {
      self = .everybody
    } else if address.isV4 {
      self = address.v4 >> 8 == 0xE0_0000 ? .everybody : .receivers
    } else {
      switch address.high >> 48 & 15 {
      case 0, 1: self = .machine
      case 2: self = .everybody
      default: self = .receivers
      }
    }
  }
}

extension Community {
  /// The place of a multicast group on the subring: the member nearest to it is the root of the group's tree.
  func place(of group: IPAddress) -> OverlayID {
    let scratch = Scratch(capacity: 16)
    scratch.frame.setBig(0, group.high)
    scratch.frame.setBig(8, group.low)
    return Hash.blake2b160(Array("group".utf8), directoryKey.bytes, scratch.frame.bytes)
  }
}
