// How faults are done to a world.
//
// A fault that makes no sense at its moment (a crash of a dead node, a box that does not exist) does nothing:
// schedules are cut down by leaving faults out, and the rest must go on meaning something.

import Base
import Node

extension World {
  /// Plans faults.
  public func schedule(_ faults: [PlannedFault]) {
    for planned in faults { at(planned.at) { $0.apply(planned.fault) } }
  }

  /// Does a fault at once.
  public func apply(_ fault: Fault) {
    switch fault {
    case .crash(let node): if exists(node) { kill(node) }
    case .restart(let node, let bootstraps):
      if exists(node) { restart(node, bootstraps: bootstraps.filter(exists)) }
    case .leave(let node): if exists(node), isAlive(node), !isPaused(node) { leave(node) }
    case .pause(let node): if exists(node) { pause(node) }
    case .resume(let node): if exists(node) { resume(node) }
    case .skew(let node, let rate): if exists(node), isAlive(node) { skew(node, partsPerMillion: rate) }
    case .cut(let number, let near, let far, let direction):
      cuts.close(number, near, far, direction)
      takeSides()
    case .heal(let number):
      cuts.open(number)
      takeSides()
    case .healAll:
      for number in 0..<Cuts.cutsMax { cuts.open(number) }
      takeSides()
    case .lossBurst(let set, let rate, let time):
      change(set) { weather in
        weather.lossPerMille = UInt32(min(max(rate, 0), 1_000))
        weather.lossUntil = self.now + time
      }
    case .clog(let set, let time):
      change(set) { $0.clogUntil = self.now + time }
    case .slow(let set, let by, let time):
      change(set) { weather in
        weather.slowBy = by
        weather.slowUntil = self.now + time
      }
    case .rebootBox(let box):
      guard box >= 0, box < internet.boxes.count else { return }
      internet.boxes[box].nat.reboot()
      breakStreams { isBehind(box, $0) }
    case .roam(let node): if exists(node), isAlive(node), !isPaused(node) { roam(node) }
    }
  }

  private func exists(_ node: Int) -> Bool { node >= 0 && node < nodeCount }

  /// Whether the node's process is stopped.
  public func isPaused(_ node: Int) -> Bool { records[checked(node)].flags.contains(.paused) }

  /// Stops the node's process.
  public func pause(_ node: Int) {
    if isAlive(node) { records[node].flags.insert(.paused) }
  }

  /// Lets a stopped process go on: first its timers, then what has come meanwhile.
  public func resume(_ node: Int) {
    guard isPaused(node) else { return }
    let host = hosts[node]
    records[node].flags.remove(.paused)
    let waiting = host.waiting
    host.waiting = Host.Waiting()
    if records[node].deadline <= now.ns {
      expire(host)
    } else if records[node].wakeAt == .max {
      wake(node)
    }
    for _ in 0..<waiting.commits where records[node].flags.contains(.alive) { commit(host) }
    for handle in waiting.datagrams {
      // An observer may have ended the node meanwhile.
      if records[node].flags.contains(.alive), !records[node].flags.contains(.paused) {
        handOver(handle, to: host)
      } else if arena.header(handle).pointee.flags & Flight.isFrame != 0 {
        discardFrame(handle)
      } else {
        arena.release(handle)
      }
    }
  }

  /// Changes how fast a node's clock runs.
  private func skew(_ node: Int, partsPerMillion: Int) {
    changeClock(node) { $0.run(partsPerMillion: Int64(partsPerMillion), from: self.now) }
  }

  /// A node's clock goes on by so much at once.
  public func jump(_ node: Int, by interval: Interval) {
    if isAlive(node) { changeClock(node) { $0.jump(by: interval) } }
  }

  private func changeClock(_ node: Int, _ body: (inout NodeClock) -> Void) {
    let host = hosts[node]
    if !records[node].flags.contains(.skewed) { host.clock = NodeClock(startingWith: now) }
    body(&host.clock)
    records[node].flags.insert(.skewed)
    rearm(host)
  }

  /// Moves a node to another address.
  private func roam(_ node: Int) {
    let box = box(of: node)
    let isBlocked = records[node].flags.contains(.blocked)
    detach(node)
    breakStreams { $0 == node }
    if let box {
      let old = internet.boxes[box]
      let new = addBox(old.nat.behaviour, behind: old.outer)
      attach(node, Site(.behind(box: new)))
    } else {
      attach(node, Site(isBlocked ? .blocked : .open))
    }
    let host = hosts[node]
    host.endpoint = endpoint(of: node)
    act(host) { host.core.setUnderlay(interfaces(node), port: host.sockets.main, &host.context) }
  }

  private func isBehind(_ box: Int, _ node: Int) -> Bool {
    var next = self.box(of: node)
    while let one = next {
      if one == box { return true }
      next = internet.boxes[one].outer
    }
    return false
  }

  /// Works out anew on which side of the cuts everybody stands.
  private func takeSides() {
    for node in 0..<nodeCount { takeSides(node) }
  }

  /// Works out on which side of the cuts a node stands.
  func takeSides(_ node: Int) {
    (records[node].nearSide, records[node].farSide) = cuts.isEmpty ? (0, 0) : cuts.sides(of: node)
  }

  private func change(_ set: NodeSet, _ body: (inout Weather) -> Void) {
    if case .node(let node) = set {
      if exists(node) { changeWeather(node, body) }
      return
    }
    for node in 0..<nodeCount where set.contains(node) { changeWeather(node, body) }
  }

  private func changeWeather(_ node: Int, _ body: (inout Weather) -> Void) {
    body(&hosts[node].weather)
    records[node].flags.insert(.weather)
  }
}
