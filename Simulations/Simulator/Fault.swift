// What can go wrong, as values: a schedule of faults is a list, and can be printed, cut down and run again.

import Base

/// One thing that goes wrong, or right again.
public enum Fault: Sendable, Equatable {
  /// The node vanishes without a word; what its store has not committed is lost.
  case crash(Int)
  /// The node comes back with its store and its identity. A living one is killed first.
  case restart(Int, bootstraps: [Int])
  /// The node says good-bye and ends.
  case leave(Int)
  /// The process is stopped: datagrams wait in a socket buffer, timers do not fire.
  case pause(Int)
  case resume(Int)
  /// The node's clock runs so much faster from now on; negative is slower, 0 as fast as the world's.
  case skew(Int, partsPerMillion: Int)
  /// Nothing passes between two sides (`Cuts`); a cut of the same number is replaced.
  case cut(Int, NodeSet, from: NodeSet, CutDirection)
  case heal(cut: Int)
  case healAll
  /// The access links of these lose so many of a thousand datagrams, in each direction.
  case lossBurst(NodeSet, perMille: Int, lasting: Interval)
  /// Datagrams wait at the access links of these until it is over.
  case clog(NodeSet, lasting: Interval)
  /// Datagrams take longer, in each direction.
  case slow(NodeSet, by: Interval, lasting: Interval)
  /// A box forgets its mappings.
  case rebootBox(Int)
  /// The node gets another address: in the open a new one, behind a box that of a new box of the same kind.
  case roam(Int)
}

extension Fault: CustomStringConvertible {
  public var description: String {
    switch self {
    case .crash(let node): "crash \(node)"
    case .restart(let node, let bootstraps):
      "restart \(node) through " + bootstraps.map(String.init).joined(separator: ",")
    case .leave(let node): "leave \(node)"
    case .pause(let node): "pause \(node)"
    case .resume(let node): "resume \(node)"
    case .skew(let node, let rate): "skew \(node) by \(rate) ppm"
    case .cut(let number, let near, let far, let direction):
      "cut \(number): \(near) from \(far), \(direction)"
    case .heal(let number): "heal cut \(number)"
    case .healAll: "heal all"
    case .lossBurst(let set, let rate, let time):
      "lose \(rate) per mille at \(set) for \(time.ns / 1_000_000) ms"
    case .clog(let set, let time): "clog \(set) for \(time.ns / 1_000_000) ms"
    case .slow(let set, let by, let time):
      "slow \(set) by \(by.ns / 1_000_000) ms for \(time.ns / 1_000_000) ms"
    case .rebootBox(let box): "reboot box \(box)"
    case .roam(let node): "roam \(node)"
    }
  }
}

/// A fault and when it comes.
public struct PlannedFault: Sendable, Equatable, CustomStringConvertible {
  public var at: Instant
  public var fault: Fault

  public init(at: Instant, _ fault: Fault) {
    self.at = at
    self.fault = fault
  }

  public var description: String { "\(at.ns / 1_000_000) ms: \(fault)" }
}
