// A node's own answer to a task. Most are there at once; some need the word of neighbours first, who are
// asked for it, and for the last time when half of the time is over. Then the answer is made of what has
// come.

import Base
import DHT
import Overlay
import Session

/// An answer that waits for neighbours.
struct AwaitedMap {
  let slice: UInt32
  let task: any RingTask.Type
  let ring: RingKind
  let beganAt: Instant
  var askAgainAt: Instant
  let giveUpAt: Instant
  /// Whose word is missing, and the nonces under which it was asked for: each time another one.
  var open: [(id: OverlayID, nonces: [UInt64])]
  var testimonies: [(id: OverlayID, word: Testimony)] = []

  /// As many as slices.
  static let limit = MapReduce.slicesMax
  /// The longest wait, and when neighbours are asked again.
  static let patience = Interval.milliseconds(1_200)
  static let again = Interval.milliseconds(500)
  /// Of the time that a slice has, what is left for the way back.
  static let reserve = Interval.milliseconds(200)
}

extension NodeCore {
  /// Answers a slice for this node, now or when its neighbours have spoken.
  mutating func map(_ slice: UInt32, _ context: inout Context) {
    guard let (question, _, _, until) = network.tasks.question(of: slice) else { return }
    guard let task = RingTasks.named(question.name),
      disclosure.allows(task, asked: question, by: network.links.identity.publicKey)
    else { return network.tasks.mapped(slice, nil, took: .zero, network.links) }
    let witnesses = task.witnesses(self, on: question.ring)
    let now = context.now
    let left = now + AwaitedMap.reserve < until ? until - (now + AwaitedMap.reserve) : .zero
    var map = AwaitedMap(
      slice: slice, task: task, ring: question.ring, beganAt: now, askAgainAt: now + AwaitedMap.again,
      giveUpAt: now + min(AwaitedMap.patience, left),
      open: (0..<witnesses.count).map { (witnesses[$0], []) })
    guard !witnesses.isEmpty, maps.count < AwaitedMap.limit else { return finish(map, at: now) }
    let nonces = map.open.map { _ in context.random.next() }
    for i in map.open.indices { map.open[i].nonces = [nonces[i]] }
    maps.append(map)
    network.tasks.takeTime(slice, &network.links, &context)
    for (i, nonce) in nonces.enumerated() {
      look(at: witnesses[i], on: question.ring, nonce: nonce, &context)
    }
  }

  private mutating func finish(_ map: AwaitedMap, at now: Instant) {
    let inquiry = Inquiry(ring: map.ring, now: now, testimonies: map.testimonies)
    network.tasks.mapped(
      map.slice, map.task.mapped(self, inquiry), took: now - map.beganAt, network.links)
  }

  /// A neighbour has spoken, or cannot be reached.
  /// - Returns: whether it was asked for a task.
  mutating func hearWitness(_ looked: Looked, _ context: inout Context) -> Bool {
    for m in maps.indices {
      guard let w = maps[m].open.firstIndex(where: { $0.nonces.contains(looked.nonce) }) else { continue }
      guard maps[m].open[w].id == looked.id else { return true }
      if let word = looked.testimony { maps[m].testimonies.append((looked.id, word)) }
      maps[m].open.remove(at: w)
      if maps[m].open.isEmpty { finish(maps.remove(at: m), at: context.now) }
      return true
    }
    return false
  }

  /// When a neighbour is asked again, or not waited for any more.
  var mapDeadline: Instant { maps.reduce(.never) { min($0, min($1.askAgainAt, $1.giveUpAt)) } }

  @inline(never) mutating func expireMaps(_ context: inout Context) {
    let now = context.now
    var due: [(id: OverlayID, ring: RingKind, nonce: UInt64)] = []
    for m in maps.indices where maps[m].askAgainAt <= now {
      maps[m].askAgainAt = .never
      for w in maps[m].open.indices {
        let nonce = context.random.next()
        maps[m].open[w].nonces.append(nonce)
        due.append((maps[m].open[w].id, maps[m].ring, nonce))
      }
    }
    for question in due { look(at: question.id, on: question.ring, nonce: question.nonce, &context) }
    while let m = maps.firstIndex(where: { $0.giveUpAt <= now }) { finish(maps.remove(at: m), at: now) }
  }
}
