// Goal: the window tells every number apart that lies within its 8,192 (1,024 in the control space), and
// takes nothing older.
// Method: edges by hand; then random walks against a model that remembers every number.

import Base
import Testing

@testable import Session

struct ReplayWindowTests {
  /// A window freed with the test.
  final class Window {
    let pointer: UnsafeMutablePointer<ReplayWindow>

    init(space: UInt8 = 1) { pointer = ReplayWindow.allocate(space: space, next: nil) }

    deinit { pointer.deallocate() }

    /// Takes a number in if the window admits it.
    func accept(_ sequence: UInt64) -> Bool {
      guard pointer.admits(sequence) else { return false }
      pointer.mark(sequence)
      return true
    }
  }

  @Test func numbersPassOnce() {
    let window = Window()
    for sequence: UInt64 in [0, 1, 63, 64, 65, 8_191, 8_192] {
      #expect(window.accept(sequence))
      #expect(!window.accept(sequence))
    }
  }

  @Test(arguments: [0, 1, 63, 64, 65, 100_000, 1 << 40] as [UInt64])
  func theLastNumberInsideTheWindowIsExact(start: UInt64) {
    let window = Window()
    let end = start + 8_192
    #expect(window.accept(end))
    #expect(window.accept(start + 1), "8,191 behind the greatest")
    #expect(!window.accept(start), "8,192 behind the greatest")
  }

  @Test func aLeapForgetsOnlyWhatFellOut() {
    let window = Window()
    #expect(window.accept(5))
    #expect(window.accept(5 + 8_191))
    #expect(!window.accept(5))
    #expect(window.accept(6))
    #expect(window.accept(1 << 50))
    #expect(window.accept((1 << 50) - 8_191))
    #expect(!window.accept((1 << 50) - 8_192))
    for sequence in (UInt64(1) << 50) - 8_190..<(UInt64(1) << 50) { #expect(window.accept(sequence)) }
  }

  @Test func theGreatestNumberOfASpacePasses() {
    let window = Window()
    let greatest: UInt64 = 1 << 56 - 1
    #expect(window.accept(greatest))
    #expect(!window.accept(greatest))
    #expect(window.accept(greatest - 8_191))
  }

  @Test func theControlSpaceHasASmallerWindow() {
    let window = Window(space: 0)
    #expect(window.accept(5_000))
    #expect(window.accept(5_000 - 1_023), "1,023 behind the greatest")
    #expect(!window.accept(5_000 - 1_024), "1,024 behind the greatest")
    for sequence in (5_000 - 1_022)..<5_000 as Range<UInt64> { #expect(window.accept(sequence)) }
    #expect(window.pointer.pointee.blockBytes <= 176)
  }

  @Test(arguments: 0..<8, [0, 1] as [UInt8]) func agreesWithAModel(seed: Int, space: UInt8) {
    var random = Random(seed: UInt64(seed))
    let window = Window(space: space)
    let size: UInt64 = space == 0 ? 1_024 : 8_192
    var seen = Set<UInt64>()
    var greatest: UInt64 = 0
    for step in 0..<20_000 {
      let sequence: UInt64
      switch random.below(10) {
      case 0: sequence = greatest + random.below(2 * size)
      case 1...4: sequence = greatest + random.below(3)
      default: sequence = greatest - min(greatest, random.below(size + size / 8))
      }
      let inside = sequence > greatest || greatest - sequence < size
      let expected = inside && !seen.contains(sequence)
      guard window.accept(sequence) == expected else {
        Issue.record("seed \(seed), step \(step), number \(sequence), greatest \(greatest)")
        return
      }
      if expected {
        seen.insert(sequence)
        greatest = max(greatest, sequence)
      }
    }
  }
}
