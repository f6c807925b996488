// A part of a long list that is asked for piece by piece.
//
// The list is in the order of IDs, and a piece begins behind the last ID of the piece before. So what comes
// and goes meanwhile shifts nothing: who is there all the time is told once.

import Base

/// Which part of a list is wanted.
struct Page: Sendable, Equatable {
  var limit = Int.max
  var after: OverlayID?

  /// The elements of this part, and where the next one begins; nil: there is no other.
  func cut<Element>(
    _ elements: [Element], by id: (Element) -> OverlayID
  ) -> (part: ArraySlice<Element>, next: OverlayID?) {
    let ordered = elements.map { (id: id($0), element: $0) }.sorted { $0.id < $1.id }
    let rest = ordered.drop { entry in after.map { entry.id <= $0 } ?? false }
    let part = rest.prefix(limit)
    return (part.map(\.element)[...], part.count < rest.count ? part.last?.id : nil)
  }
}

extension OverlayID {
  /// The ID that 40 hexadecimal digits spell.
  init?(digits: String) {
    guard let bytes = Hex.bytes(digits), bytes.count == OverlayID.byteCount else { return nil }
    let scratch = Scratch(capacity: bytes.count)
    scratch.frame.write(bytes)
    self.init(scratch.frame)
  }
}
