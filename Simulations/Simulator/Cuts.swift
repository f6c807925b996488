// Partitions: which nodes cannot hear which others.
//
// Up to 16 cuts at a time, each between two sides, in one direction or both. A node has a bit for each cut
// on whose near or far side it stands, so that asking whether a datagram is cut costs two words. A cut is
// looked at when a datagram arrives: what is on its way when a cut comes is lost, and what arrives after it
// has healed is not.

import Base

/// Some of the nodes.
public indirect enum NodeSet: Sendable, Equatable, CustomStringConvertible {
  case everybody
  case node(Int)
  case nodes([Int])
  case range(Range<Int>)
  /// So many of a thousand, chosen by the salt.
  case share(perMille: Int, salt: UInt64)
  case not(NodeSet)

  public func contains(_ node: Int) -> Bool {
    switch self {
    case .everybody: true
    case .node(let only): node == only
    case .nodes(let list): list.contains(node)
    case .range(let range): range.contains(node)
    case .share(let perMille, let salt): mixed(UInt64(node) ^ mixed(salt)) % 1_000 < UInt64(max(perMille, 0))
    case .not(let set): !set.contains(node)
    }
  }

  public var description: String {
    switch self {
    case .everybody: "everybody"
    case .node(let node): "node \(node)"
    case .nodes(let list): "nodes " + list.map(String.init).joined(separator: ",")
    case .range(let range): "nodes \(range.lowerBound)..<\(range.upperBound)"
    case .share(let perMille, let salt): "\(perMille) per mille by \(salt)"
    case .not(let set): "not (\(set))"
    }
  }
}

/// Which way a cut closes.
public enum CutDirection: UInt8, Sendable {
  case both
  /// The near side is not heard any more.
  case outward
  /// The near side does not hear any more.
  case inward
}

/// The cuts in force.
struct Cuts {
  static let cutsMax = 16
  private struct Cut {
    let near: NodeSet
    let far: NodeSet
  }

  private var cuts = [Cut?](repeating: nil, count: cutsMax)
  private(set) var outward: UInt16 = 0
  private(set) var inward: UInt16 = 0

  var isEmpty: Bool { outward | inward == 0 }

  mutating func close(_ number: Int, _ near: NodeSet, _ far: NodeSet, _ direction: CutDirection) {
    precondition(number >= 0 && number < Self.cutsMax, "no cut \(number)")
    open(number)
    cuts[number] = Cut(near: near, far: far)
    let bit = UInt16(1) << UInt16(number)
    if direction != .inward { outward |= bit }
    if direction != .outward { inward |= bit }
  }

  mutating func open(_ number: Int) {
    precondition(number >= 0 && number < Self.cutsMax, "no cut \(number)")
    cuts[number] = nil
    let bit = UInt16(1) << UInt16(number)
    outward &= ~bit
    inward &= ~bit
  }

  /// The sides on which a node stands.
  func sides(of node: Int) -> (near: UInt16, far: UInt16) {
    var near: UInt16 = 0
    var far: UInt16 = 0
    for (number, cut) in cuts.enumerated() {
      guard let cut else { continue }
      let bit = UInt16(1) << UInt16(number)
      if cut.near.contains(node) { near |= bit }
      if cut.far.contains(node) { far |= bit }
    }
    return (near, far)
  }

  /// Whether a datagram from one to the other is cut.
  @inline(__always)
  func separates(_ from: UnsafePointer<NodeRecord>, _ to: UnsafePointer<NodeRecord>) -> Bool {
    let out = from.pointee.nearSide & to.pointee.farSide & outward
    let back = from.pointee.farSide & to.pointee.nearSide & inward
    return out | back != 0
  }
}
