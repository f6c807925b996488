// Peers that went without a word, and where they were: asked again now and then whether they are back.
//
// A partition looks like the death of everybody on the other side. Whoever remembers the dead and asks them
// again notices when it is over, and two rings can become one (`Unifying`). A first try comes after ten
// seconds, eight more as often, then ever more rarely, for a day.

import Base
import Session

/// A peer that is believed to be gone.
struct DeadPeer: BitwiseCopyable {
  let key: PublicKey
  let endpoint: Endpoint
  let diedAt: Instant
  var tries: UInt8 = 0
  var nextAt: Instant
}

/// The dead, a bounded number of them.
struct DeadPeers {
  static let limit = 64
  static let retryMin = Interval.seconds(10)
  static let retryMax = Interval.minutes(10)
  /// Tries before they become rarer.
  static let quickTries: UInt8 = 8
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
    let nextAt = context.now + context.random.jittered(Self.retryMin)
    peers.append(DeadPeer(key: key, endpoint: endpoint, diedAt: context.now, nextAt: nextAt))
    deadline = min(deadline, nextAt)
  }

  /// - Returns: whether it was in here.
  @discardableResult
  mutating func remove(_ key: PublicKey) -> Bool {
    guard let i = peers.firstIndex(where: { $0.key == key }) else { return false }
    peers.remove(at: i)
    return true
  }

  /// The next one that shall be asked now; its next turn is set.
  mutating func takeDue(_ context: inout Context) -> DeadPeer? {
    let now = context.now
    peers.removeAll { now - $0.diedAt > Self.life }
    guard let i = peers.firstIndex(where: { $0.nextAt <= now }) else {
      deadline = peers.reduce(Instant.never) { min($0, $1.nextAt) }
      return nil
    }
    let excess = UInt64(max(peers[i].tries, Self.quickTries) - Self.quickTries)
    let wait = min(Self.retryMin * (1 << min(excess, 10)), Self.retryMax)
    peers[i].nextAt = now + context.random.jittered(wait)
    peers[i].tries = min(peers[i].tries + 1, 100)
    return peers[i]
  }
}

extension Links {
  /// Asks those dead whose turn it is for a handshake, where they were last.
  mutating func askDead(_ context: inout Context) {
    guard dead.deadline <= context.now else { return }
    while let peer = dead.takeDue(&context) {
      guard let ref = context.pool.take(length: 0) else { return }
      guard let length = sessions.initiate(to: peer.key, at: context.now, into: context.pool.room(ref)) else {
        context.pool.release(ref)
        continue
      }
      transmit(ref, length: length, to: peer.endpoint, &context)
    }
  }
}
