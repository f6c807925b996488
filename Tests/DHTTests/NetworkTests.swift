// Goal: what a node asks the ring, and turns out to be for itself, is answered like everything else.
// Method: a small town whose holders ask for keys of their own.

import Base
import Overlay
import Session
import Testing

@testable import DHT

@Suite struct NetworkTests {
  @Test(arguments: [1, 3]) func questionThatIsForTheAskerIsAnsweredHere(count: Int) throws {
    let town = try Town(count)
    let holder = town.holders[0]
    let free = holder.available
    holder.network.find(holder.id, mode: .owner, nonce: 5, &holder.context)
    holder.network.find(holder.id, mode: .exact, nonce: 6, &holder.context)
    holder.network.pump(&holder.context)
    var answered: [UInt64] = []
    for i in 0..<holder.network.events.count {
      guard case .found(let nonce, let key, _) = holder.network.events[i] else { continue }
      #expect(key.id == holder.id)
      answered.append(nonce)
    }
    #expect(answered == [5, 6])
    #expect(holder.network.links.arrivals.count == 0 && holder.available == free)
  }
}
