// Which address leads to whom.
//
// Public addresses are handed out one after the other, so that finding who has one is an index into an array.

import Base

/// Who an address leads to: a node or a box.
struct Attachment: Equatable, BitwiseCopyable {
  let code: UInt32

  static let none = Attachment(code: 0xFFF_FFFF)
  private static let boxBit: UInt32 = 1 << 27

  init(code: UInt32) { self.code = code }

  static func node(_ number: Int) -> Attachment { Attachment(code: UInt32(number)) }
  static func box(_ number: Int) -> Attachment { Attachment(code: boxBit | UInt32(number)) }

  /// The number of the node; nil for a box and for nobody.
  @inline(__always) var node: Int? { code & Self.boxBit == 0 ? Int(code) : nil }
  /// The number of the box.
  @inline(__always) var box: Int? {
    code & Self.boxBit != 0 && self != .none ? Int(code & (Self.boxBit - 1)) : nil
  }
}

/// The public addresses.
struct Internet {
  /// The port on which every node listens.
  static let port: UInt16 = 7_741
  /// 32.0.0.1 and the thousand million addresses after it are neither private nor special; a laboratory is one
  /// private network, 10.0.0.0/8.
  let first: UInt32
  let isPrivate: Bool
  private(set) var attachments: [Attachment] = []
  var random: Random

  init(isPrivate: Bool, random: Random) {
    self.isPrivate = isPrivate
    first = isPrivate ? 0x0A00_0001 : 0x2000_0001
    self.random = random
  }

  /// A new address that leads to `attachment`.
  mutating func assign(_ attachment: Attachment) -> UInt32 {
    attachments.append(attachment)
    return first + UInt32(attachments.count - 1)
  }

  /// The address leads nowhere from now on.
  mutating func withdraw(_ address: UInt32) {
    let i = Int(address &- first)
    if i < attachments.count { attachments[i] = .none }
  }

  @inline(__always) func lookUp(_ address: UInt32) -> Attachment {
    let i = Int(address &- first)
    return i < attachments.count ? attachments[i] : .none
  }
}

extension World {
  /// Connects a node: gives it its address.
  func attach(_ node: Int, _ access: Access) {
    switch access {
    case .open: records[node].address = internet.assign(.node(node))
    case .blocked:
      records[node].address = internet.assign(.node(node))
      records[node].flags.insert(.blocked)
    case .behind(let box): preconditionFailure("no box \(box)")
    }
  }

  /// The addresses that a node finds on its interfaces.
  func interfaces(_ node: Int) -> [IPPrefix] {
    [IPPrefix(IPAddress(v4: records[node].address), length: internet.isPrivate ? 8 : 32)]
  }

  /// Where others reach a node that lets itself be reached.
  func publicEndpoint(_ node: Int) -> Endpoint {
    SimEndpoint(records[checked(node)].address, port: Internet.port).endpoint
  }
}
