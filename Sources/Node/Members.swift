// The members of the community that are not linked, as people ask for them. Read-only, made on request.

import Base
import Overlay
import VPN

/// A member that was met and is not linked.
public struct MemberSnapshot: Sendable {
  public var id: OverlayID
  public var name: String?
  public var address: IPAddress?
  public var address6: IPAddress
  /// `idle` when it has answered the last roll call, `offline` when not.
  public var path: PathKind
  /// Since it was there last.
  public var lastSeen: Interval
}

/// The members beside those that are linked.
public struct MembersSnapshot: Sendable {
  public var members: [MemberSnapshot] = []
  /// Whether all members that are there can be on the list, or only those that were met.
  public var isWhole = true

  public init(members: [MemberSnapshot] = [], isWhole: Bool = true) {
    self.members = members
    self.isWhole = isWhole
  }
}

extension NodeCore {
  /// The members that are not linked, in the order in which they were met; none on a seed. A node that is up
  /// stands among the linked peers, also while its membership is not proved.
  public func members(at now: Instant) -> MembersSnapshot {
    reading { tunnel in
      var snapshot = MembersSnapshot()
      snapshot.isWhole = !tunnel.hasTooManyToAsk(network.links)
      tunnel.visitRoster { entry in
        let isUp = network.links.peer(entry.id).map { network.links.peers[$0].isUp } ?? false
        guard !entry.isLinked, !isUp else { return }
        snapshot.members.append(
          MemberSnapshot(
            id: entry.id, name: entry.name.map { "\($0)" }, address: entry.address,
            address6: tunnel.community.ula(of: entry.id), path: entry.isPresent ? .idle : .offline,
            lastSeen: now - entry.seenAt))
      }
      return snapshot
    } ?? MembersSnapshot()
  }
}
