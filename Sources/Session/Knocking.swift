// Knocking in a session: the tokens that go out, the tokens that come in, and the slots that a match opens.
//
// No slot numbers travel. A community's receive slot is 8 + the position of its own token in the list that
// this side sent; so each side finds the other's number when it finds the token. The positions are a
// permutation that follows from the peer's key and a secret of this process: the same in every list sent to
// one peer, so that slots survive a change of keys.

import Base

extension SessionTable {
  /// The first content byte of a community slot.
  static var firstSlot: UInt8 { 8 }

  /// Sets the communities of this node, at most eight. Sessions keep the slots of those that stay; new ones
  /// are found by the next exchange of hellos.
  public mutating func setCommunities(_ communities: [Community]) {
    let changed = members.set(communities)
    memberOrder = members.order
    guard !changed.isEmpty else { return }
    for slot in 0..<slotCount {
      guard let session = slots[slot] else { continue }
      for place in changed { session.pointee.sendSlots.set(place, 0) }
    }
  }

  /// What this side says first under new keys, or when its communities changed. To be sealed right away.
  public mutating func hello(_ id: SessionID) -> Hello {
    guard let session = session(id), let generation = session.pointee.sealing else {
      return Hello(resetToken: random.value(), tokens: randomTokens())
    }
    let remembered = session.pointee.greatestIncarnation
    return Hello(
      resetToken: resetToken(generation.pointee.localIndex),
      remembered: remembered > session.pointee.incarnation ? remembered : 0,
      tokens: tokens(
        generation.pointee.binding(own: identity.publicKey), fromInitiator: generation.pointee.isInitiator,
        positions: session.pointee.positions))
  }

  /// Takes in what the peer said; to be called right after the record that carried it was opened.
  public mutating func receive(_ hello: Hello, on id: SessionID) {
    guard let session = session(id) else { return }
    noteRemembered(hello.remembered)
    let current = session.pointee.lastOpened ?? session.pointee.sealing
    current?.pointee.resetToken = hello.resetToken
    let others = session.generations.filter { $0 != current }
    for generation in [current].compactMap({ $0 }) + others {
      let binding = generation.pointee.binding(own: identity.publicKey)
      let matched = match(
        hello.tokens, binding: binding, fromInitiator: !generation.pointee.isInitiator, in: session)
      if matched { return }
    }
  }

  /// The content bytes under which the community at `index` (in the list of `setCommunities`) travels in this
  /// session; nil when the peer has not proven that it carries it.
  @_noAllocation @_noLocks
  public func slots(_ id: SessionID, community index: Int) -> (send: UInt8, receive: UInt8)? {
    guard let session = session(id), let place = memberOrder.place(position: index) else { return nil }
    let send = session.pointee.sendSlots[place]
    return send == 0 ? nil : (send, 8 &+ session.pointee.positions[place])
  }

  /// Which community (in the list of `setCommunities`) a received content byte means; nil when none that the
  /// peer has proven.
  @_noAllocation @_noLocks
  public func community(_ id: SessionID, receiveSlot: UInt8) -> Int? {
    guard let session = session(id), receiveSlot >= 8, receiveSlot < 16 else { return nil }
    var place = 0
    while place < 8, session.pointee.positions[place] != receiveSlot &- 8 { place &+= 1 }
    if place == 8 || session.pointee.sendSlots[place] == 0 { return nil }
    return memberOrder.position(place: place)
  }

  /// Finds the communities whose tokens are among `tokens`. What matches not is closed.
  /// - Returns: whether any matched.
  @discardableResult
  func match(_ tokens: TokenList, binding: KnockBinding, fromInitiator: Bool, in session: SessionPointer)
    -> Bool
  {
    var slots = PackedBytes()
    var matched = false
    for (place, key) in members.knockKeys.enumerated() {
      guard let key,
        let position = tokens.position(of: binding.token(key, fromInitiator: fromInitiator, identity.suite))
      else {
        continue
      }
      slots.set(place, Self.firstSlot + UInt8(position))
      matched = true
    }
    session.pointee.sendSlots = slots
    return matched
  }

  /// The list that goes to a peer: random tokens, and in its place each community's.
  mutating func tokens(_ binding: KnockBinding, fromInitiator: Bool, positions: PackedBytes) -> TokenList {
    fill(randomTokens(), binding, fromInitiator: fromInitiator, positions: positions)
  }

  /// Puts each community's token in its place.
  func fill(_ list: TokenList, _ binding: KnockBinding, fromInitiator: Bool, positions: PackedBytes)
    -> TokenList
  {
    var list = list
    for (place, key) in members.knockKeys.enumerated() {
      if let key {
        list[Int(positions[place])] = binding.token(key, fromInitiator: fromInitiator, identity.suite)
      }
    }
    return list
  }

  mutating func randomTokens() -> TokenList {
    var list = TokenList()
    for i in 0..<TokenList.count { list[i] = random.value() }
    return list
  }

  /// The permutation of the eight places for one peer (Fisher and Yates, drawn from a keyed hash).
  func positions(for peer: PublicKey) -> PackedBytes {
    let key: Key = identity.suite.labelled("shuffle", key: shuffleKey) { $0.part(peer) }
    var positions = PackedBytes()
    for place in 0..<TokenList.count { positions.set(place, UInt8(place)) }
    key.reading { draws in
      for i in stride(from: TokenList.count - 1, to: 0, by: -1) {
        let other = Int((draws.big(4 * i, as: UInt32.self) >> 8) % UInt32(i + 1))
        let (position, displaced) = (positions[other], positions[i])
        positions.set(i, position)
        positions.set(other, displaced)
      }
    }
    return positions
  }

  /// A greater incarnation of this node that a peer claims to remember. One so great that it can be no time
  /// of a clock is a lie: it would leave no room above it.
  mutating func noteRemembered(_ remembered: UInt64) {
    guard remembered > incarnation, remembered < 1 << 62 else { return }
    outrankedBy = max(outrankedBy ?? 0, remembered)
  }
}
