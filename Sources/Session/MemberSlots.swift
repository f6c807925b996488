// Which of the eight places of the table each community of this node has.
//
// A community keeps its place when others come and go, so the content bytes of its records stay the same in
// sessions that live on. Callers name a community by its position in the list that they gave last.

import Base

/// The communities of a node, in places that do not move.
struct MemberSlots: Sendable {
  private(set) var knockKeys = [Key?](repeating: nil, count: TokenList.count)
  private(set) var order = MemberOrder()

  /// Takes the communities over.
  /// - Returns: the places whose community went or is another one now.
  mutating func set(_ communities: [Community]) -> [Int] {
    precondition(communities.count <= TokenList.count)
    let old = knockKeys
    let keys = communities.map(\.knockKey)
    knockKeys = old.map { key in key.flatMap { keys.contains($0) ? $0 : nil } }
    for key in keys where !knockKeys.contains(key) {
      guard let free = knockKeys.firstIndex(of: nil) else {
        preconditionFailure("eight places, no more keys")
      }
      knockKeys[free] = key
    }
    order = MemberOrder()
    for (position, key) in keys.enumerated() {
      if let place = knockKeys.firstIndex(of: key) { order.pair(position: position, place: place) }
    }
    return old.indices.filter { old[$0] != knockKeys[$0] }
  }
}

/// Which place belongs to which position in the caller's list; asked for each packet.
struct MemberOrder: Sendable, BitwiseCopyable {
  /// Position + 1 of each place, and place + 1 of each position; 0 for none.
  private var positions = PackedBytes()
  private var places = PackedBytes()

  mutating func pair(position: Int, place: Int) {
    positions.set(place, UInt8(position + 1))
    places.set(position, UInt8(place + 1))
  }

  /// The caller's position of the community in `place`.
  @_noAllocation @_noLocks
  func position(place: Int) -> Int? {
    let position = positions[place]
    return position == 0 ? nil : Int(position) &- 1
  }

  /// The place of the community at the caller's `position`.
  @_noAllocation @_noLocks
  func place(position: Int) -> Int? {
    guard position >= 0, position < 8 else { return nil }
    let place = places[position]
    return place == 0 ? nil : Int(place) &- 1
  }
}
