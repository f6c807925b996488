// Neighbours and members that went without a word, and where they were: asked again whether they are back.
//
// A partition looks like the death of everybody on the other side. Whoever remembers the dead and asks them
// again notices when it is over, and two rings can become one (`Unifying`). Each node asks one of its dead at
// a time, drawn by lot, every ten seconds: after a partition there are many who ask, and where everybody
// comes and goes a node has many dead. When each was asked six times the questions become rarer.

import Base
import Session

/// A peer that is believed to be gone.
struct DeadPeer: BitwiseCopyable {
  let key: PublicKey
  let endpoint: Endpoint
  let diedAt: Instant
  var tries: UInt8 = 0
}

/// The dead, a bounded number of them.
struct DeadPeers {
  static let limit = 64
  static let retryMin = Interval.seconds(10)
  static let retryMax = Interval.minutes(10)
  /// Tries of each before they become rarer.
  static let quickTries: UInt8 = 6
  /// Who was away for a day comes back by himself or not at all.
  static let life = Interval.minutes(24 * 60)

  private(set) var peers: [DeadPeer] = []
  private(set) var deadline: Instant = .never

  /// Remembers a peer; the one that was asked most often gives way when there are too many.
  mutating func bury(_ key: PublicKey, at endpoint: Endpoint, _ context: inout Context) {
    remove(key)
    if peers.count == Self.limit, let oldest = peers.indices.max(by: { peers[$0].tries < peers[$1].tries }) {
      peers.remove(at: oldest)
    }
    peers.append(DeadPeer(key: key, endpoint: endpoint, diedAt: context.now))
    deadline = min(deadline, context.now + context.random.jittered(Self.retryMin))
  }

  /// - Returns: whether it was in here.
  @discardableResult
  mutating func remove(_ key: PublicKey) -> Bool {
    guard let i = peers.firstIndex(where: { $0.key == key }) else { return false }
    peers.remove(at: i)
    if peers.isEmpty { deadline = .never }
    return true
  }

  /// One that shall be asked now; the next turn is set.
  mutating func takeDue(_ context: inout Context) -> DeadPeer? {
    guard deadline <= context.now else { return nil }
    peers.removeAll { context.now - $0.diedAt > Self.life }
    guard !peers.isEmpty else {
      deadline = .never
      return nil
    }
    let chosen = Int(context.random.below(UInt64(peers.count)))
    peers[chosen].tries = min(peers[chosen].tries + 1, 100)
    let fewest = peers.reduce(UInt8.max) { min($0, $1.tries) }
    let excess = UInt64(max(fewest, Self.quickTries) - Self.quickTries)
    let wait = min(Self.retryMin * (1 << min(excess, 10)), Self.retryMax)
    deadline = context.now + context.random.jittered(wait)
    return peers[chosen]
  }
}

extension Links {
  /// Asks one of the dead for a handshake, where it was last.
  mutating func askDead(_ context: inout Context) {
    guard let peer = dead.takeDue(&context), let ref = context.pool.take(length: 0) else { return }
    guard let length = sessions.initiate(to: peer.key, at: context.now, into: context.pool.room(ref)) else {
      return context.pool.release(ref)
    }
    // Alone, and perhaps where UDP does not get through: by turns over TCP.
    let stream = peer.tries & 1 == 0 ? streamIfAlone(peer.endpoint, for: peer.key.id, &context) : nil
    transmit(ref, length: length, to: stream ?? peer.endpoint, &context)
  }
}
