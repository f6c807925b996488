// A crawl: every node of a ring is asked what it sees of its place, each once, beginning with those that this
// node sees itself and going on with whom they name.
//
// Next is always the named node that stands nearest clockwise of the place where the crawl began. One
// question at a time makes that the walk from each right neighbour to the next, round the ring; more at a
// time walk both ways. Nobody is asked twice, except who does not answer, so a crawl ends on whatever ring.
// It sends nothing itself: questions are taken from it, and it is told what became of them.

import Base
import Overlay

/// How a ring is crawled.
public struct CrawlTerms: Sendable {
  public var ring: RingKind
  /// Questions under way: 1 walks link by link.
  public var width: Int
  /// More nodes are not asked. A node takes about 700 bytes until the result is taken.
  public var nodesMax: Int

  static let widthMax = 256

  public init(ring: RingKind = .main, width: Int = 16, nodesMax: Int = 200_000) {
    self.ring = ring
    self.width = max(1, min(width, Self.widthMax))
    self.nodesMax = max(1, nodesMax)
  }
}

/// A node that was named in a crawl.
public struct CrawledNode: Sendable {
  public enum Outcome: Sendable, Equatable {
    case answered
    /// Somebody on the way says that it is not there.
    case notThere
    /// It was asked three times.
    case silent
    /// The crawl ended before.
    case notAsked
  }

  public let id: OverlayID
  /// Whether somebody has it for a linked neighbour; else others were only told of it.
  public internal(set) var isNeighbour: Bool
  public internal(set) var outcome = Outcome.notAsked
  /// What it said, if it answered.
  public internal(set) var word: Testimony?
  /// From the first question to the answer, and the hops that the answer took.
  public internal(set) var took = Interval.zero
  public internal(set) var hops: UInt8 = 0
  /// How often it was asked.
  public internal(set) var tries: UInt8 = 0

  public init(id: OverlayID, isNeighbour: Bool = true, word: Testimony? = nil) {
    self.id = id
    self.isNeighbour = isNeighbour
    self.word = word
    if word != nil { outcome = .answered }
  }
}

/// How far a crawl is.
public struct CrawlProgress: Sendable, Equatable {
  public var named: Int
  public var asked: Int
  public var answered: Int
  /// Nodes on the ring, as the node reckons that crawls.
  public var estimate: Int
  public var isOver: Bool
}

/// What a crawl has brought.
public struct CrawlResult: Sendable {
  public let ring: RingKind
  /// The node that crawled.
  public let origin: OverlayID
  /// Everybody who was named, in the order of IDs, each once.
  public let nodes: [CrawledNode]
  public let took: Interval
  /// Messages, repetitions included.
  public let questions: Int
  /// Not all who were named were asked: there were too many, or it was ended before.
  public let isCutShort: Bool

  public init(
    ring: RingKind, origin: OverlayID, nodes: [CrawledNode], took: Interval = .zero, questions: Int = 0,
    isCutShort: Bool = false
  ) {
    self.ring = ring
    self.origin = origin
    self.nodes = nodes.sorted { $0.id < $1.id }
    self.took = took
    self.questions = questions
    self.isCutShort = isCutShort
  }
}

/// A crawl under way, or one whose result has not been taken.
struct Crawl {
  /// At the same time, results that nobody has taken included.
  static let limit = 4
  /// An answer is waited for this long after each try; a message that was not lost takes less.
  static let patience: [Interval] = [.seconds(1), .seconds(2), .seconds(2)]
  /// Who is said not to be there is asked once more, after this.
  static let doubt = Interval.milliseconds(500)

  /// A question that has no answer yet.
  private struct Question {
    let node: Int
    let nonce: UInt64
    let askedAt: Instant
    var dueAt: Instant
    var isDoubted = false
  }

  let ticket: UInt32
  let terms: CrawlTerms
  private let origin: OverlayID
  private let beganAt: Instant
  private var endedAt: Instant?
  private var nodes: [CrawledNode] = []
  private var index: NodeIndex
  /// Those that are to be asked, the last one first.
  private var waiting: [Int32] = []
  private var underWay: [Question] = []
  private var questions = 0
  private var estimate = 0
  private var answered = 0
  private var isFull = false

  /// - Parameter word: what the node sees itself that crawls.
  init(
    ticket: UInt32, _ terms: CrawlTerms, from origin: OverlayID, _ word: Testimony, salt: UInt64,
    at now: Instant
  ) {
    self.ticket = ticket
    self.terms = terms
    self.origin = origin
    beganAt = now
    index = NodeIndex(salt: salt)
    nodes.append(CrawledNode(id: origin, word: word))
    index.insert(0, nodes)
    estimate = Int(word.sizeEstimate)
    answered = 1
    learn(word)
  }

  var isOver: Bool { endedAt != nil }

  var deadline: Instant { underWay.reduce(.never) { min($0, $1.dueAt) } }

  var progress: CrawlProgress {
    CrawlProgress(
      named: nodes.count, asked: nodes.count - waiting.count, answered: answered,
      estimate: max(estimate, answered), isOver: isOver)
  }

  /// Takes the questions that are to be sent now. Without any under way the crawl is over.
  mutating func takeQuestions(_ context: inout Context) -> [(id: OverlayID, nonce: UInt64)] {
    guard !isOver else { return [] }
    var due: [(OverlayID, UInt64)] = []
    for i in underWay.indices.reversed() where underWay[i].dueAt <= context.now {
      let node = underWay[i].node
      let tries = Int(nodes[node].tries)
      guard tries < Self.patience.count else {
        end(i, underWay[i].isDoubted ? .notThere : .silent)
        continue
      }
      nodes[node].tries += 1
      underWay[i].dueAt = context.now + Self.patience[tries]
      due.append((nodes[node].id, underWay[i].nonce))
    }
    while underWay.count < terms.width, let next = waiting.popLast() {
      let node = Int(next)
      nodes[node].tries = 1
      let nonce = context.random.next()
      underWay.append(
        Question(node: node, nonce: nonce, askedAt: context.now, dueAt: context.now + Self.patience[0]))
      due.append((nodes[node].id, nonce))
    }
    questions += due.count
    if underWay.isEmpty { endedAt = context.now }
    return due
  }

  /// What became of a question.
  /// - Returns: whether it was one of this crawl.
  mutating func hear(_ looked: Looked, at now: Instant) -> Bool {
    guard
      let i = underWay.firstIndex(where: {
        $0.nonce == looked.nonce && nodes[$0.node].id == looked.id && terms.ring == looked.ring
      })
    else { return false }
    let node = underWay[i].node
    guard let word = looked.testimony else {
      if underWay[i].isDoubted {
        end(i, .notThere)
      } else {
        underWay[i].isDoubted = true
        underWay[i].dueAt = now + Self.doubt
        nodes[node].tries = UInt8(Self.patience.count - 1)
      }
      return true
    }
    nodes[node].word = word
    nodes[node].took = now - underWay[i].askedAt
    nodes[node].hops = looked.hops
    answered += 1
    end(i, .answered)
    learn(word)
    return true
  }

  /// What was found so far.
  func result(at now: Instant) -> CrawlResult {
    CrawlResult(
      ring: terms.ring, origin: origin, nodes: nodes, took: (endedAt ?? now) - beganAt,
      questions: questions, isCutShort: isFull || !isOver)
  }

  private mutating func end(_ i: Int, _ outcome: CrawledNode.Outcome) {
    nodes[underWay[i].node].outcome = outcome
    underWay.remove(at: i)
  }

  /// Takes in whom a node names.
  private mutating func learn(_ word: Testimony) {
    for i in 0..<word.right.count { name(word.right[i].id, isNeighbour: true) }
    for i in 0..<word.left.count { name(word.left[i].id, isNeighbour: true) }
    for i in 0..<word.missed.count { name(word.missed[i].id, isNeighbour: false) }
  }

  private mutating func name(_ id: OverlayID, isNeighbour: Bool) {
    if let known = index.find(id, nodes) {
      if isNeighbour { nodes[known].isNeighbour = true }
      return
    }
    guard nodes.count < terms.nodesMax else {
      isFull = true
      return
    }
    let node = nodes.count
    nodes.append(CrawledNode(id: id, isNeighbour: isNeighbour))
    index.insert(node, nodes)
    // Few wait: those at the two ends of what has been asked.
    let distance = origin.clockwise(to: id)
    var (low, high) = (0, waiting.count)
    while low < high {
      let middle = (low + high) / 2
      if origin.clockwise(to: nodes[Int(waiting[middle])].id) > distance {
        low = middle + 1
      } else {
        high = middle
      }
    }
    waiting.insert(Int32(node), at: low)
  }
}

/// From an ID to the number of its node: a table with open addressing, at most half full.
private struct NodeIndex {
  /// Nobody knows it: IDs can be chosen so that they would fall on one another.
  private let salt: UInt64
  private var places = [Int32](repeating: -1, count: 64)
  private var count = 0

  init(salt: UInt64) { self.salt = salt }

  func find(_ id: OverlayID, _ nodes: [CrawledNode]) -> Int? {
    let place = places[slot(id, nodes)]
    return place < 0 ? nil : Int(place)
  }

  /// *Precondition:* the node is not in here.
  mutating func insert(_ node: Int, _ nodes: [CrawledNode]) {
    count += 1
    if 2 * count > places.count {
      places = [Int32](repeating: -1, count: 2 * places.count)
      for other in 0..<node { places[slot(nodes[other].id, nodes)] = Int32(other) }
    }
    places[slot(nodes[node].id, nodes)] = Int32(node)
  }

  /// Where the ID stands, or would.
  private func slot(_ id: OverlayID, _ nodes: [CrawledNode]) -> Int {
    let product = (id.high ^ salt).multipliedFullWidth(by: id.middle | 1)
    var i = Int(truncatingIfNeeded: product.high ^ product.low ^ UInt64(id.low)) & (places.count - 1)
    while places[i] >= 0, nodes[Int(places[i])].id != id { i = (i + 1) & (places.count - 1) }
    return i
  }
}
