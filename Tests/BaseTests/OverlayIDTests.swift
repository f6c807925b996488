import Base
import Testing

@Suite struct OverlayIDTests {
  private func id(_ low: UInt32) -> OverlayID { OverlayID(high: 0, middle: 0, low: low) }
  private static let last = OverlayID(high: .max, middle: .max, low: .max)

  private func bytes(_ id: OverlayID) -> [UInt8] {
    let scratch = Scratch(capacity: OverlayID.byteCount)
    id.write(to: scratch.frame)
    return scratch.frame.bytes
  }

  @Test func bytesAreBigEndian() {
    let id = OverlayID(high: 0x0102_0304_0506_0708, middle: 0x090A_0B0C_0D0E_0F10, low: 0x1112_1314)
    #expect(bytes(id) == Array(1...20))
    let scratch = Scratch(Array(1...20))
    #expect(OverlayID(scratch.frame) == id)
    #expect(id.description == "0102030405060708090a0b0c0d0e0f1011121314")
    #expect(id.short == "0102030405")
  }

  @Test func distanceWrapsAround() {
    #expect(Self.last.clockwise(to: .zero) == id(1))
    #expect(id(1).clockwise(to: .zero) == Self.last)
    #expect(Self.last.distance(to: id(1)) == id(2))
    #expect(id(1).distance(to: Self.last) == id(2))
    #expect(id(7).distance(to: id(7)) == .zero)
    #expect(OverlayID(high: 0, middle: 1, low: 0) &- id(1) == id(.max))
    #expect(OverlayID(high: 1, middle: 0, low: 0) &- id(1) == OverlayID(high: 0, middle: .max, low: .max))
  }

  @Test(arguments: [1, 2, 3]) func subtractionAgreesWithAModelOfBytes(_ seed: UInt64) {
    var random = Random(seed: seed)
    for _ in 0..<1_000 {
      let a = random.overlayID()
      let b =
        random.below(4) == 0 ? OverlayID(high: a.high, middle: a.middle, low: a.low &+ 1) : random.overlayID()
      var borrow = 0
      var expected: [UInt8] = []
      for (x, y) in zip(bytes(a).reversed(), bytes(b).reversed()) {
        let difference = Int(x) - Int(y) - borrow
        borrow = difference < 0 ? 1 : 0
        expected.insert(UInt8(difference & 255), at: 0)
      }
      #expect(bytes(a &- b) == expected, "seed \(seed): \(a) - \(b)")
    }
  }

  @Test(arguments: [1, 2, 3]) func distancesAreThoseOfACircle(_ seed: UInt64) {
    var random = Random(seed: seed)
    for _ in 0..<1_000 {
      let (a, b, c) = (random.overlayID(), random.overlayID(), random.overlayID())
      #expect(a.distance(to: b) == b.distance(to: a))
      #expect(a.distance(to: b) <= OverlayID(high: 1 << 63, middle: 0, low: 0))
      #expect(
        a.clockwise(to: b) &- (.zero &- b.clockwise(to: a)) == .zero, "there and back is the whole ring")
      // Of three different places, walked clockwise from the first, exactly one of the others comes first.
      #expect(b.isIn(after: a, through: c) != c.isIn(after: a, through: b))
      #expect(a < b || b < a || a == b)
      #expect((a < b) == bytes(a).lexicographicallyPrecedes(bytes(b)))
    }
  }

  @Test func arcIsOpenAtItsStartAndClosedAtItsEnd() {
    #expect(!id(10).isIn(after: id(10), through: id(20)))
    #expect(id(11).isIn(after: id(10), through: id(20)))
    #expect(id(20).isIn(after: id(10), through: id(20)))
    #expect(!id(21).isIn(after: id(10), through: id(20)))
    #expect(id(5).isIn(after: Self.last, through: id(10)))
    #expect(OverlayID.zero.isIn(after: Self.last, through: id(10)))
    #expect(!Self.last.isIn(after: Self.last, through: id(10)))
  }

  @Test func arcToItselfIsTheWholeRing() {
    #expect(id(3).isIn(after: id(9), through: id(9)))
    #expect(id(9).isIn(after: id(9), through: id(9)))
  }

  @Test func wireFormRejectsEveryTruncation() throws {
    let whole = Scratch(Array(1...20))
    #expect(try OverlayID(decoding: whole.frame) == OverlayID(whole.frame))
    for length in 0..<20 {
      #expect(throws: WireError.truncated(offset: 0)) { try OverlayID(decoding: whole.frame.prefix(length)) }
    }
  }
}
