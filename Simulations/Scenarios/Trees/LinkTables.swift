// The links of a subring as its members keep them.
//
// They come from a run of the daemon's own code: a ring is laid out, all its nodes are members of one
// community, and the tables are taken when the subring stands and its far links are found. No tree is
// measured on links that somebody has made up.

import Base
import Node
import Simulator

/// Members and the links over which each may send what is for all.
struct LinkTables {
  /// Leading 64 bits of the members' IDs, rising.
  let places: [UInt64]
  /// By member: those to which it has a link that lasts, by their numbers, in the order of the ring.
  let links: [[Int32]]

  var count: Int { places.count }

  init(places: [UInt64], links: [[Int32]]) {
    self.places = places
    self.links = links
  }

  /// The links of the living members of a stage that has one community.
  init(_ stage: Stage) {
    let living = stage.census.living
    places = living.map(\.id.high)
    links = living.map { entry in
      stage.world.hosts[entry.node].core.network.links.carriers.compactMap { id in
        let place = stage.census.position(of: id)
        return place < living.count && living[place].id == id ? Int32(place) : nil
      }
    }
  }
}
