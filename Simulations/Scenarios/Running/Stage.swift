// Plays a plan's steps on a simulated world, and knows the truth about it.
//
// Slots (of the plan) and nodes (of the world) are told apart here: a slot has at most one living node, and a
// new one after each replacement. What a step begins and must end later (a partition, a pause) is kept in
// `endings`.

import Base
import Node
import Session
import Simulator

/// The world of a run.
final class Stage {
  let world: World
  let settings: Settings
  private(set) var census = Census()
  /// The node of each slot; -1 before its first.
  private(set) var nodes: [Int] = []
  private(set) var slots: [Int] = []
  private(set) var ids: [OverlayID] = []
  private(set) var startedAt: [Instant] = []
  /// By node: it has been settled.
  var hasJoined: [Bool] = []
  /// By slot: which nodes can reach each other.
  private(set) var components: [Int] = []
  /// Routed messages of the dead that ran out of hops.
  private(set) var buriedHopsExceeded: UInt64 = 0
  /// Told before a node dies.
  var onDeath: ((Int) -> Void)?
  private var cuts: [Cut] = []
  private var cutNumber = 0
  private var endings: [(at: Instant, sequence: Int, ending: Ending)] = []
  private var sequence = 0

  private struct Cut {
    let number: Int
    let isInside: [Bool]
    /// Only those inside are not heard; a partition cuts both ways and makes two components.
    let isMute: Bool
  }

  private enum Ending {
    case back(slot: Int)
    case heal(cut: Int)
    case resume(node: Int)
  }

  init(_ settings: Settings, _ conditions: Conditions, slots count: Int) {
    self.settings = settings
    world = World(Self.options(settings, conditions))
    nodes = [Int](repeating: -1, count: count)
    components = [Int](repeating: 0, count: count)
  }

  private static func options(_ settings: Settings, _ conditions: Conditions) -> WorldOptions {
    var options = WorldOptions(seed: settings.seed)
    options.cryptography = settings.isRealCrypto ? .real : .stub
    options.nodesExpected = settings.nodes
    switch settings.latency {
    case .constant(let milliseconds): options.latency = .constant(.milliseconds(milliseconds))
    case .clusters: options.latency = .clusters()
    case .file(_, let text):
      guard let matrix = LatencyMatrix(text: text) else { preconditionFailure("the matrix was read before") }
      options.latency = .matrix(matrix)
    }
    options.loss.uniform = conditions.lossPerMille * 1_000
    options.loss.duplicated = conditions.duplicatedPerMille * 1_000
    options.loss.reordered = conditions.reorderedPerMille * 1_000
    options.loss.brokenPairs = conditions.brokenPairsPerMille * 1_000
    if conditions.hasBursts { options.loss.access = GilbertElliott() }
    switch conditions.mix {
    case .none: break
    case .home: options.mix = .home
    case .mobile: options.mix = .mobile
    case .enterprise: options.mix = .enterprise
    }
    return options
  }

  // MARK: - Time

  /// When something has to be ended.
  var nextEnding: Instant { endings.first?.at ?? .never }

  /// Ends what is due.
  func endDue() {
    while let first = endings.first, first.at <= world.now {
      endings.removeFirst()
      switch first.ending {
      case .back(let slot): restart(slot)
      case .heal(let cut): heal(cut)
      case .resume(let node): if world.isAlive(node) { world.apply(.resume(node)) }
      }
    }
  }

  private func later(_ milliseconds: UInt64, _ ending: Ending) {
    sequence += 1
    let at = world.now + .milliseconds(milliseconds)
    let position = endings.firstIndex { $0.at > at } ?? endings.count
    endings.insert((at, sequence, ending), at: position)
  }

  // MARK: - Steps

  /// Does what a step says; a step that makes no sense does nothing.
  func play(_ action: Action) {
    switch action {
    case .layOut(let count): layOut(count)
    case .start(let slot, let via): start(slot, via: via)
    case .crash(let slot, let back):
      guard let node = living(slot) else { return }
      end(node, isGraceful: false)
      if let back { later(back, .back(slot: slot)) }
    case .leave(let slot): if let node = living(slot) { end(node, isGraceful: true) }
    case .replace(let slot, let isGraceful, let via):
      guard let node = living(slot) else { return }
      end(node, isGraceful: isGraceful)
      add(slot, via: [via])
    case .partition(let ranges, let length): cut(ranges, isMute: false, length)
    case .mute(let ranges, let length): cut(ranges, isMute: true, length)
    case .introduce(let slot, let other):
      guard let node = living(slot), let otherNode = living(other) else { return }
      let endpoint = world.endpoint(of: otherNode)
      world.withCore(node) { core, context in core.addBootstrap(endpoint, key: nil, &context) }
    case .pause, .clock, .slow, .loss, .roam, .reboot: playNetwork(action)
    }
  }

  private func playNetwork(_ action: Action) {
    switch action {
    case .pause(let slot, let length):
      guard let node = living(slot), !world.isPaused(node) else { return }
      world.apply(.pause(node))
      later(length, .resume(node: node))
    case .clock(let slot, let rate):
      if let node = living(slot) { world.apply(.skew(node, partsPerMillion: rate)) }
    case .slow(let slot, let delay, let length):
      guard let node = living(slot) else { return }
      world.apply(.slow(.node(node), by: .milliseconds(delay), lasting: .milliseconds(length)))
    case .loss(let perMille, let length):
      // Every datagram passes two access links.
      world.apply(
        .lossBurst(.everybody, perMille: Int((perMille + 1) / 2), lasting: .milliseconds(length)))
    case .roam(let slot): if let node = living(slot) { world.apply(.roam(node)) }
    case .reboot(let slot):
      if let node = living(slot), let box = world.box(of: node) { world.apply(.rebootBox(box)) }
    default: break
    }
  }

  /// The living node of a slot.
  func living(_ slot: Int) -> Int? {
    guard nodes.indices.contains(slot), nodes[slot] >= 0, world.isAlive(nodes[slot]) else { return nil }
    return nodes[slot]
  }

  /// The node lives, has joined, and its process runs.
  func isAwake(_ node: Int) -> Bool { world.isAlive(node) && hasJoined[node] && !world.isPaused(node) }

  func component(ofNode node: Int) -> Int { components[slots[node]] }

  // MARK: - Life and death

  /// Fills the first slots with nodes that are switched on one after the other.
  private func layOut(_ count: Int) {
    guard world.nodeCount == 0, count <= nodes.count else { return }
    let order = world.layOut((0..<count).map(role))
    for slot in 0..<count {
      nodes[slot] = slot
      slots.append(slot)
      startedAt.append(.never)
      hasJoined.append(false)
      ids.append(world.hosts[slot].configuration.identity.id)
    }
    let step = Interval(ns: UInt64(Plan.switchOnSeconds(count) * 1e9) / UInt64(max(count, 1)))
    switchOn(order[...], every: step, at: world.now + .milliseconds(100))
  }

  /// Switches on the first of the nodes at a moment, and then the others.
  private func switchOn(_ order: ArraySlice<Int>, every step: Interval, at moment: Instant) {
    guard let node = order.first else { return }
    world.at(moment) { [unowned self] _ in
      if startedAt[node] == .never { restart(slots[node]) }
      switchOn(order.dropFirst(), every: step, at: moment + step)
    }
  }

  private func start(_ slot: Int, via: [Int]) {
    guard nodes.indices.contains(slot) else { return }
    if nodes[slot] < 0 { add(slot, via: via) }
  }

  private func add(_ slot: Int, via: [Int]) {
    let bootstraps = bootstraps(via, for: slot)
    // Those through whom the others come in are in the open.
    let site = slot < Plan.bootstrapsMax ? Site(.open) : nil
    // Nodes are numbered in the order in which they start; this one sends before `add` has returned.
    let node = world.nodeCount
    nodes[slot] = node
    slots.append(slot)
    startedAt.append(world.now)
    hasJoined.append(false)
    let number = world.add(role(slot), bootstraps: bootstraps, site: site)
    precondition(number == node)
    let id = world.view(node).id
    ids.append(id)
    census.add(id, node: node)
  }

  private func restart(_ slot: Int) {
    let node = nodes[slot]
    guard node >= 0, !world.isAlive(node) else { return }
    world.restart(node, bootstraps: [])
    startedAt[node] = world.now
    hasJoined[node] = false
    census.add(ids[node], node: node)
  }

  /// Those of the wanted slots that live; when none does, the first other that does: the user of a node names
  /// several.
  private func bootstraps(_ via: [Int], for slot: Int) -> [Int] {
    guard !via.isEmpty else { return [] }
    let wanted = via.filter { $0 != slot }.compactMap(living)
    if !wanted.isEmpty { return wanted }
    for other in nodes.indices where other != slot {
      if let node = living(other) { return [node] }
    }
    return []
  }

  private func end(_ node: Int, isGraceful: Bool) {
    onDeath?(node)
    buriedHopsExceeded += world.hosts[node].snapshot.links.hopsExceeded
    if isGraceful, !world.isPaused(node) { world.leave(node) } else { world.kill(node) }
    census.bury(ids[node], at: world.now)
  }

  /// A share of the slots, spread evenly, are members; so many of them are a community.
  private func role(_ slot: Int) -> NodeRole {
    let before = Int(Double(slot) * settings.members)
    guard Int(Double(slot + 1) * settings.members) > before else { return .seed }
    return .member(.open("community \(before / settings.community)"))
  }

  // MARK: - Cuts

  private func cut(_ ranges: [ClosedRange<Int>], isMute: Bool, _ milliseconds: UInt64) {
    cutNumber += 1
    let isInside = nodes.indices.map { slot in ranges.contains { $0.contains(slot) } }
    cuts.append(Cut(number: cutNumber, isInside: isInside, isMute: isMute))
    later(milliseconds, .heal(cut: cutNumber))
    applyCuts()
  }

  private func heal(_ number: Int) {
    cuts.removeAll { $0.number == number }
    applyCuts()
  }

  private func applyCuts() {
    let active = cuts
    // Two slots are in one component if no partition tells them apart.
    var kinds: [[Bool]] = []
    let partitions = active.filter { !$0.isMute }
    components = nodes.indices.map { slot in
      let kind = partitions.map { $0.isInside[slot] }
      if let known = kinds.firstIndex(of: kind) { return known }
      kinds.append(kind)
      return kinds.count - 1
    }
    guard !active.isEmpty else {
      world.passes = nil
      return
    }
    world.passes = { [unowned self] from, to in
      for cut in active {
        let isInside = cut.isInside[slots[from]]
        if isInside != cut.isInside[slots[to]], isInside || !cut.isMute { return false }
      }
      return true
    }
  }

  // MARK: - Truth

  /// The time straight to another node and back.
  func roundTrip(_ a: Int, _ b: Int) -> Interval { world.oneWay(a, b) + world.oneWay(b, a) }

  /// Everybody alive, as the checks want it.
  func witnesses(_ list: inout [Witness]) {
    list.removeAll(keepingCapacity: true)
    for entry in census.living {
      var belief = Belief(world.view(entry.node))
      if belief.isSettled { hasJoined[entry.node] = true }
      // Who sleeps answers for no key, whatever it will believe when it wakes.
      if world.isPaused(entry.node) { belief.isSettled = false }
      list.append(
        Witness(
          number: slots[entry.node], component: components[slots[entry.node]],
          hasJoined: hasJoined[entry.node], belief: belief))
    }
  }

  /// Whether the node with this ID may rightly answer for `key`, as `asker` sees the network: the first
  /// settled one clockwise from the key, or one before it that is about to take it over.
  func isOwner(_ id: OverlayID, of key: OverlayID, for asker: Int) -> Bool {
    let living = census.living
    guard !living.isEmpty else { return false }
    let start = census.position(of: key)
    let mine = component(ofNode: asker)
    for step in 0..<living.count {
      let entry = living[(start + step) % living.count]
      guard component(ofNode: entry.node) == mine else { continue }
      if entry.id == id { return true }
      if world.view(entry.node).isSettled { return false }
    }
    return false
  }

  /// Routed messages that ran out of hops, of all nodes that ever lived.
  var hopsExceeded: UInt64 {
    census.living.reduce(buriedHopsExceeded) { $0 + world.hosts[$1.node].snapshot.links.hopsExceeded }
  }
}
