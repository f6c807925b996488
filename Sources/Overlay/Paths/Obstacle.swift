// Why a peer is not reached directly: what people ask first when something is slow.

import Base

/// What stands between this node and a direct path to a peer. Later cases are said only when no earlier one
/// holds.
public enum Obstacle: UInt8, Sendable, BitwiseCopyable {
  /// The user keeps the peer's traffic on the ring.
  case pinned
  /// UDP does not get through to anybody.
  case datagramsStopped
  /// The peer came by TCP, so UDP seems not to get through on its side.
  case datagramsStoppedThere
  /// The two have told each other no addresses: the link is for the ring only, or membership is not proved.
  case notIntroduced
  /// Both boxes use another port for each destination: nobody can know where to send.
  case bothVary
  /// One box does at least, and its next ports are being predicted.
  case predicting
  /// One box does, and many ports are being tried.
  case tryingManyPorts
  /// The peer's candidates are being probed.
  case trying
  /// None of its candidates has answered. They are tried again.
  case unanswered
}

extension Links {
  /// Why there is no direct path over UDP to a peer that is up; nil when there is one.
  public func obstacle(_ slot: Int) -> Obstacle? {
    guard let kind = peers[slot].bestPath?.kind, kind != .lan, kind != .direct else { return nil }
    if peers[slot].isPinnedToOverlay { return .pinned }
    if udpPassage.isStopped { return .datagramsStopped }
    if kind == .tcp { return .datagramsStoppedThere }
    if !peers[slot].isIntroduced { return .notIntroduced }
    let party = party(slot)
    if let birthday, birthday.peer == party {
      return birthday.role.isPrediction ? .predicting : .tryingManyPorts
    }
    if underlay.mapping.isHard && peers[slot].mapping.isHard { return .bothVary }
    return punches.contains { $0.peer == party } ? .trying : .unanswered
  }

  /// When a peer that is relayed is tried directly again; nil when it is not planned.
  public func directRetry(_ slot: Int) -> Instant? {
    let at = peers[slot].directRetryAt
    return at == .never || peers[slot].hasDirectPath ? nil : at
  }
}
