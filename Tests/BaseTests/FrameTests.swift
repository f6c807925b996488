import Base
import Testing

@Suite struct FrameTests {
  @Test func integersHaveTheOrderThatIsAskedFor() {
    let scratch = Scratch(capacity: 16)
    scratch.frame.setBig(1, UInt32(0x0102_0304))
    scratch.frame.setLittle(8, UInt64(0x0102_0304_0506_0708))
    #expect(scratch.frame.bytes == [0, 1, 2, 3, 4, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1])
    #expect(scratch.frame.big(1, as: UInt32.self) == 0x0102_0304)
    #expect(scratch.frame.little(8, as: UInt64.self) == 0x0102_0304_0506_0708)
  }

  @Test func slicesShareTheBytes() {
    let scratch = Scratch(Array(0..<10))
    let middle = scratch.frame.slice(2, 4)
    #expect(middle.bytes == [2, 3, 4, 5])
    middle[0] = 99
    #expect(scratch.frame[2] == 99)
    #expect(scratch.frame.dropping(8).bytes == [8, 9])
    #expect(scratch.frame.prefix(0).isEmpty)
    #expect(scratch.frame.dropping(10).isEmpty)
  }

  @Test func copyMayOverlap() {
    let scratch = Scratch(Array(0..<6))
    scratch.frame.dropping(2).copy(scratch.frame.prefix(4))
    #expect(scratch.frame.bytes == [0, 1, 0, 1, 2, 3])
    scratch.frame.slice(1, 2).clear()
    #expect(scratch.frame.bytes == [0, 0, 0, 1, 2, 3])
  }
}

@Suite struct HexTests {
  @Test func bytesAreReadBack() {
    #expect(Hex.string([0x00, 0x9F, 0xA0, 0xFF]) == "009fa0ff")
    #expect(Hex.bytes("009fA0Ff") == [0x00, 0x9F, 0xA0, 0xFF])
    #expect(Hex.bytes("") == [])
    #expect(Hex.string(0xABC, digits: 2) == "bc")
    #expect(Hex.string(0xABC, digits: 5) == "00abc")
  }

  @Test(arguments: ["0", "0g", "0x00", " 00", "é"]) func otherTextIsNone(_ text: String) {
    #expect(Hex.bytes(text) == nil)
  }
}
