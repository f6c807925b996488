// Which address leads to whom.
//
// Public addresses are handed out one after the other, so that finding who has one is an index into an
// array. Each box has a network of its own behind it, with the same private addresses as any other box:
// 192.168/16, or 100.64/10 behind a carrier's. Whoever sends to such an address reaches the one who has it
// in its own network.

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

/// Addresses of one network, handed out in order.
struct AddressSpace {
  let first: UInt32
  /// The length of the prefix that interfaces in it show.
  let prefix: UInt8
  private var attachments: [Attachment] = []

  init(first: UInt32, prefix: UInt8) {
    self.first = first
    self.prefix = prefix
  }

  var count: Int { attachments.count }

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

/// A box and the network behind it.
struct BoxedNetwork {
  var nat: NATBox
  var inside: AddressSpace
  let outer: Int?
  var place: Place
}

/// All networks.
struct Internet {
  /// The port on which every node listens.
  static let port: UInt16 = 7_741
  /// From one to another in the network behind a box, in nanoseconds.
  static let localDelay: UInt64 = 300_000
  var open: AddressSpace
  var boxes: [BoxedNetwork] = []
  var random: Random
  /// The last box of each kind that a mix has made, and the last carrier's.
  var lastOfKind = [Int?](repeating: nil, count: 5)
  var lastCarrier: Int?

  /// 32.0.0.1 and the thousand million addresses after it are neither private nor special; a laboratory is
  /// one private network, 10.0.0.0/8.
  init(isPrivate: Bool, random: Random) {
    open =
      isPrivate ? AddressSpace(first: 0x0A00_0001, prefix: 8) : AddressSpace(first: 0x2000_0001, prefix: 32)
    self.random = random
  }
}

extension World {
  /// Adds a box.
  /// - Parameters:
  ///   - outer: the box in front of it; nil gives it a public address.
  ///   - place: nil draws one, or takes that of the outer box.
  /// - Returns: its number: boxes are numbered from 0.
  public func addBox(_ behaviour: NATBehaviour, behind outer: Int? = nil, place: Place? = nil) -> Int {
    let number = internet.boxes.count
    precondition(number < Happening.nodesMax)
    let at = place ?? outer.map { internet.boxes[$0].place } ?? geography.draw()
    let address: UInt32
    if let outer {
      address = internet.boxes[outer].inside.assign(.box(number))
    } else {
      address = internet.open.assign(.box(number))
    }
    let isCarrier = behaviour == .carrier
    let inside =
      isCarrier ? AddressSpace(first: 0x6440_0001, prefix: 10) : AddressSpace(first: 0xC0A8_0002, prefix: 16)
    let nat = NATBox(behaviour, outside: address, random: internet.random.split(UInt64(number)))
    internet.boxes.append(BoxedNetwork(nat: nat, inside: inside, outer: outer, place: at))
    return number
  }

  /// How many boxes there are.
  public var boxCount: Int { internet.boxes.count }

  /// The box a node stands behind.
  public func box(of node: Int) -> Int? {
    let box = records[checked(node)].box
    return box < 0 ? nil : Int(box)
  }

  /// Where others reach a node that lets itself be reached: one in the open, or in the same network.
  public func endpoint(of node: Int) -> Endpoint {
    SimEndpoint(records[checked(node)].address, port: Internet.port).endpoint
  }

  /// The one-way time between two nodes without jitter.
  public func oneWay(_ a: Int, _ b: Int) -> Interval {
    let isLocal = records[checked(a)].box >= 0 && records[a].box == records[checked(b)].box
    return Interval(ns: isLocal ? Internet.localDelay : geography.base(records[a].place, records[b].place))
  }

  /// The site of a node for which none was named: drawn from the mix.
  func drawSite(isFounder: Bool) -> Site {
    guard let mix = options.mix, !isFounder else { return Site() }
    let kind = mix.draw(&internet.random)
    if kind == .blocked { return Site(.blocked) }
    guard var behaviour = kind.behaviour else { return Site() }
    if let last = internet.lastOfKind[kind.rawValue], internet.random.below(1_000) < mix.sharedPerMille {
      return Site(.behind(box: last))
    }
    let timeouts: [UInt64] = [30, 60, 120, 300]
    behaviour.timeout = .seconds(timeouts[Int(internet.random.below(4))])
    behaviour.hairpins = internet.random.below(4) == 0
    var outer: Int?
    if internet.random.below(1_000) < mix.carrierPerMille {
      if let last = internet.lastCarrier, internet.boxes[last].inside.count < SiteMix.customersMax {
        outer = last
      } else {
        outer = addBox(.carrier)
        internet.lastCarrier = outer
      }
    }
    let box = addBox(behaviour, behind: outer)
    internet.lastOfKind[kind.rawValue] = box
    return Site(.behind(box: box))
  }

  /// Connects a node: gives it its address and its place.
  func attach(_ node: Int, _ site: Site) {
    let record = records + node
    record.pointee.box = -1
    record.pointee.flags.remove(.blocked)
    switch site.access {
    case .open, .blocked:
      record.pointee.place = site.place ?? geography.draw()
      record.pointee.address = internet.open.assign(.node(node))
      if site.access == .blocked { record.pointee.flags.insert(.blocked) }
    case .behind(let box):
      precondition(box >= 0 && box < internet.boxes.count, "no box \(box)")
      record.pointee.place = site.place ?? internet.boxes[box].place
      record.pointee.box = Int32(box)
      record.pointee.address = internet.boxes[box].inside.assign(.node(node))
    }
  }

  /// Takes a node's address away.
  func detach(_ node: Int) {
    let address = records[node].address
    let box = Int(records[node].box)
    if box >= 0 {
      internet.boxes[box].inside.withdraw(address)
    } else {
      internet.open.withdraw(address)
    }
  }

  /// The addresses that a node finds on its interfaces.
  func interfaces(_ node: Int) -> [IPPrefix] {
    let box = Int(records[node].box)
    let prefix = box >= 0 ? internet.boxes[box].inside.prefix : internet.open.prefix
    return [IPPrefix(IPAddress(v4: records[node].address), length: prefix)]
  }
}
