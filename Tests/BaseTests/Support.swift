// What several tests of this folder share.
import Base
import Testing

extension Scratch {
  /// Memory that holds `bytes`.
  init(_ bytes: [UInt8]) {
    self.init(capacity: max(bytes.count, 1))
    frame.write(bytes)
  }
}

extension Random {
  mutating func overlayID() -> OverlayID {
    OverlayID(high: next(), middle: next(), low: UInt32(truncatingIfNeeded: next()))
  }

  mutating func address() -> IPAddress {
    if below(2) == 0 { return IPAddress(v4: UInt32(truncatingIfNeeded: next())) }
    // Zero groups are what the text form is about.
    func sparse(_ word: UInt64, _ mask: UInt64) -> UInt64 {
      var kept = word
      for group in 0..<4 where mask >> UInt64(group) & 1 == 1 { kept &= ~(0xFFFF << UInt64(16 * group)) }
      return kept
    }
    return IPAddress(high: sparse(next(), next()), low: sparse(next(), next()))
  }
}

/// Bytes of an address, most significant first, written from scratch here as the model.
func bytes(of address: IPAddress) -> [UInt8] {
  let words = [address.high, address.low]
  return words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64(56 - 8 * $0)) } }
}

extension PacketPool {
  /// A slot that has to be there.
  mutating func slot(_ length: Int) throws -> PacketRef {
    let ref = take(length: length)
    return try #require(ref)
  }
}
