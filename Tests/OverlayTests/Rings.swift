// What several tests of whole rings share: small worlds with stub cryptography, and whether everybody knows
// its true neighbours.

import Base
import Node
import Simulator

@testable import Overlay

extension World {
  /// A laboratory without cryptography: nodes cost microseconds.
  convenience init(stub seed: UInt64) {
    var options = WorldOptions(seed: seed)
    options.isLaboratory = true
    options.cryptography = .stub
    options.nodesExpected = 32
    self.init(options)
  }

  /// Whether these nodes are a ring of their own, and each of them is right about its neighbours and settled.
  func isTrue(_ nodes: [Int]) -> Bool {
    let views = nodes.map { view($0) }.sorted { $0.id < $1.id }
    let count = views.count
    let reach = min(count - 1, Neighbourhood.side)
    return views.indices.allSatisfy { place in
      let view = views[place]
      let steps = reach > 0 ? Array(1...reach) : []
      let right = (0..<view.right.count).map { view.right[$0] }
      let left = (0..<view.left.count).map { view.left[$0] }
      return view.isSettled && right == steps.map { views[(place + $0) % count].id }
        && left == steps.map { views[(place + count - $0) % count].id }
    }
  }

  /// Lets time pass until each of the groups is a true ring; looks every 50 ms.
  /// - Returns: how long it took; nil when it did not come true within `limit`.
  func untilTrue(_ groups: [[Int]], _ limit: Interval) -> Interval? {
    let begin = now
    while !groups.allSatisfy({ isTrue($0) }) {
      if now - begin > limit { return nil }
      run(for: .milliseconds(50))
    }
    return now - begin
  }
}
