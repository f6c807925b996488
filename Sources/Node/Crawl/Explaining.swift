// Why a node stands out: what it believes, what those believe of it who stand beside it, and the likeliest
// cause of the difference.
//
// It is a guess from words alone, of which each is of another moment: the causes are tried in the order of
// how sure their signs are, and the first whose signs are there is named.

import Base
import Overlay

/// Why a node, or what is said of it, is not as it should be.
public enum LikelyCause: Sendable, Equatable {
  /// Nobody has heard from this node for so many seconds (nil: those who name it have no link with it).
  case dead(OverlayID, silentFor: Int?)
  /// A neighbour has heard from this node so many seconds before it was asked, and it did not answer.
  case lagging(OverlayID, heardAgo: Int)
  /// A neighbour takes it for the one that it was before its restart.
  case staleIncarnation(by: OverlayID)
  /// This node was started so many seconds ago and has not settled.
  case newcomer(OverlayID, uptime: Int)
  /// It stands on a ring of so many nodes beside that of its neighbours.
  case foreignRing(nodes: Int)
  /// Its ring goes round so often before it closes.
  case wound(Int)
  /// This node and it know of each other, and have no link, or one over third nodes alone.
  case unreachablePair(OverlayID)
  /// Neighbours have changed so many seconds before they were asked: words of two moments do not agree.
  case changing(OverlayID, ago: Int)
  case unexplained
}

/// What a node beside another one has to say of it.
public struct Opinion: Sendable, Equatable {
  public var by: OverlayID
  /// As its neighbour: since when, over what, how long silent.
  public var neighbour: Testimony.Neighbour?
  /// As one that it was told of and has no link with.
  public var missed: Testimony.Missed?
}

/// A node that stands out, and why.
public struct Explanation: Sendable {
  public var id: OverlayID
  public var faults: RingFaults
  /// What it says itself: nil when it did not answer.
  public var belief: Testimony?
  /// Of those who stand nearest to it and answered: four a side, clockwise.
  public var opinions: [Opinion]
  public var cause: LikelyCause

  /// For people, without its name in front.
  public var sentence: String {
    func name(_ node: OverlayID) -> String { node == id ? "it" : node.short }
    switch cause {
    case .dead(let node, let seconds?):
      return "\(name(node)) is dead: nobody has heard from \(node == id ? "it" : "that one") for \(seconds) s"
    case .dead(let node, nil): return "\(name(node)) is dead: those who name it have no link with it"
    case .lagging(let node, let seconds):
      return "\(name(node)) was heard \(seconds) s before it was asked and did not answer: slow, going, or "
        + "just dead"
    case .staleIncarnation(let by): return "\(by.short) takes it for the one before its restart"
    case .newcomer(let node, let seconds):
      return "\(name(node)) came \(seconds) s ago and has not settled yet"
    case .foreignRing(let nodes): return "it stands on another ring, of \(nodes) nodes, than its neighbours"
    case .wound(let times): return "its ring goes \(times) times round before it closes"
    case .unreachablePair(let node): return "it and \(node.short) know of each other and cannot connect"
    case .changing(let node, let seconds):
      return
        "the neighbours of \(name(node)) had changed \(seconds) s before: what was seen is of two moments"
    case .unexplained: return "nothing that was said explains it"
    }
  }
}

extension CrawlReport {
  /// What a node may need to settle.
  private static let settlingMax = 60
  /// A living neighbour is heard from at least this often: neighbours ask each other every 4 s.
  private static let heardMax = 5
  /// A change needs this long until all who are concerned know of it.
  private static let changeMax = 15
  private static let opinionsASide = 4

  /// All who stand out, in the order of IDs.
  public func explanations() -> [Explanation] { outliers.map(explain) }

  /// Why a node stands out.
  public func explain(_ outlier: Outlier) -> Explanation {
    Explanation(
      id: outlier.id, faults: outlier.faults, belief: map.rank(of: outlier.id).map { map.words[$0] },
      opinions: opinions(of: outlier.id), cause: cause(outlier))
  }

  /// What those think of a node who stand nearest to its place.
  public func opinions(of id: OverlayID) -> [Opinion] {
    guard map.count > 0 else { return [] }
    let behind = map.ids.firstIndex { $0 > id } ?? 0
    let before = map.rank(of: id) ?? behind
    var ranks: [Int] = []
    for step in 1...Self.opinionsASide { ranks.insert(map.neighbour(of: before, -step), at: 0) }
    for step in 0..<Self.opinionsASide { ranks.append(map.neighbour(of: behind, step)) }
    var seen: [Int] = []
    for rank in ranks where map.ids[rank] != id && !seen.contains(rank) { seen.append(rank) }
    return seen.map {
      Opinion(by: map.ids[$0], neighbour: map.entry(of: $0, for: id), missed: map.misses(id, at: $0))
    }
  }

  // MARK: - Causes

  private func cause(_ outlier: Outlier) -> LikelyCause {
    guard let rank = map.rank(of: outlier.id) else { return causeOfSilence(outlier.id) }
    if let by = opinions(of: outlier.id).first(where: { isStale($0, rank) })?.by {
      return .staleIncarnation(by: by)
    }
    let beside = concerned(rank, outlier.faults)
    if let id = firstUnanswered(rank, outlier.faults) { return causeOfSilence(id) }
    let news = ([rank] + beside).first { isNewcomer(map.words[$0]) }
    if let news { return .newcomer(map.ids[news], uptime: Int(map.words[news].uptime)) }
    if let cause = causeInShape(rank, beside) { return cause }
    if let other = beside.first(where: { isUnreachable(rank, $0) }) {
      return .unreachablePair(map.ids[other])
    }
    let changed = ([rank] + beside).min { map.words[$0].unchangedFor < map.words[$1].unchangedFor } ?? rank
    let ago = Int(map.words[changed].unchangedFor)
    return ago < Self.changeMax ? .changing(map.ids[changed], ago: ago) : .unexplained
  }

  private func causeOfSilence(_ id: OverlayID) -> LikelyCause {
    let silence = opinions(of: id).compactMap { opinion -> Int? in
      guard let neighbour = opinion.neighbour else { return nil }
      return Int(neighbour.silentFor)
    }.min()
    guard let silence else { return .dead(id, silentFor: nil) }
    return silence <= Self.heardMax ? .lagging(id, heardAgo: silence) : .dead(id, silentFor: silence)
  }

  private func isStale(_ opinion: Opinion, _ rank: Int) -> Bool {
    guard let shown = opinion.neighbour?.incarnation, shown != 0 else { return false }
    return shown < map.words[rank].incarnation
  }

  private func isNewcomer(_ word: Testimony) -> Bool {
    word.phase != .settled && Int(word.uptime) < Self.settlingMax
  }

  /// The ranks of those who ought to be its neighbours where something is odd.
  private func concerned(_ rank: Int, _ faults: RingFaults) -> [Int] {
    var steps: [Int] = []
    if faults.contains(.wrongRight) { steps.append(1) }
    if faults.contains(.wrongLeft) { steps.append(-1) }
    if faults.contains(.unreachable) { steps += [1, -1] }
    if faults.contains(.wrongSecond) { steps += [2, -2] }
    if steps.isEmpty { steps = [1, -1] }
    var ranks: [Int] = []
    for step in steps {
      let other = map.neighbour(of: rank, step)
      if other != rank, !ranks.contains(other) { ranks.append(other) }
    }
    return ranks
  }

  /// A neighbour that it lists where something is odd, and that did not answer.
  private func firstUnanswered(_ rank: Int, _ faults: RingFaults) -> OverlayID? {
    let depth = faults.contains(.wrongSecond) ? 2 : 1
    for list in [map.words[rank].right, map.words[rank].left] {
      for i in 0..<min(depth, list.count) where map.rank(of: list[i].id) == nil { return list[i].id }
    }
    return nil
  }

  /// Two rings, or one that is wound up.
  private func causeInShape(_ rank: Int, _ beside: [Int]) -> LikelyCause? {
    let cycle = cycleOf[rank]
    if cycles.count > 1, beside.contains(where: { cycleOf[$0] != cycle }) {
      return .foreignRing(nodes: cycle < 0 ? 1 : cycles[Int(cycle)].nodes)
    }
    if cycle >= 0, cycles[Int(cycle)].winding > 1 { return .wound(cycles[Int(cycle)].winding) }
    return nil
  }

  /// Whether both know of each other, and not both have a path to the other.
  private func isUnreachable(_ a: Int, _ b: Int) -> Bool {
    let (forth, back) = (map.entry(of: a, for: map.ids[b]), map.entry(of: b, for: map.ids[a]))
    if let forth, let back { return !forth.path.isOwn || !back.path.isOwn }
    let isKnown = forth != nil || map.misses(map.ids[b], at: a) != nil
    let isKnownBack = back != nil || map.misses(map.ids[a], at: b) != nil
    return isKnown && isKnownBack
  }
}
