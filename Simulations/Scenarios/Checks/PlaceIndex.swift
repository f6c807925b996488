// From an ID to its rank among all living nodes, in about one step.
//
// IDs are hashes and hence spread evenly: a table by their first bits, with about one node an entry, says
// where to look. It is rebuilt for each look at the ring, in linear time and without allocation once it has
// its size.

import Base

/// Ranks of sorted IDs.
struct PlaceIndex {
  /// The rank of the first ID whose prefix is at least the index; one more entry than there are prefixes.
  private var first: [Int32] = []
  private var bits = 0

  /// - Parameter ids: sorted, without duplicates.
  mutating func rebuild(_ ids: [OverlayID]) {
    bits = 1
    while (1 << bits) < ids.count, bits < 24 { bits += 1 }
    let size = (1 << bits) + 1
    if first.count != size { first = [Int32](repeating: 0, count: size) }
    var rank = 0
    for prefix in 0..<(size - 1) {
      while rank < ids.count, Int(ids[rank].high >> UInt64(64 - bits)) < prefix { rank += 1 }
      first[prefix] = Int32(rank)
    }
    first[size - 1] = Int32(ids.count)
  }

  /// The rank of `id`; nil when it is not among `ids`, which are those of the last `rebuild`.
  func rank(of id: OverlayID, in ids: [OverlayID]) -> Int? {
    let at = position(of: id, in: ids)
    return at < ids.count && ids[at] == id ? at : nil
  }

  /// The rank of the first ID that is not below `id`; the number of IDs when there is none.
  func position(of id: OverlayID, in ids: [OverlayID]) -> Int {
    let prefix = Int(id.high >> UInt64(64 - bits))
    var low = Int(first[prefix])
    var high = Int(first[prefix + 1])
    while low < high {
      let middle = (low + high) / 2
      if ids[middle] < id { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
