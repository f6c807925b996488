// Goal: a message has one encoding, and bytes that are not it are rejected with the offset. Method: a message
// that uses everything the codec has, cut at every length, lengthened, and read from noise.
import Base
import Testing

private struct Sample: WireCodable, Equatable {
  var flag: UInt8
  var number: UInt32
  var ids: BoundedArray<3, OverlayID>
  var endpoint: Endpoint

  init(random: inout Random) {
    flag = UInt8(random.below(2))
    number = UInt32(truncatingIfNeeded: random.next())
    ids = BoundedArray()
    for _ in 0..<random.below(4) { ids.append(random.overlayID()) }
    endpoint = Endpoint(random.address(), port: UInt16(truncatingIfNeeded: random.next()))
  }

  init(from reader: inout WireReader) throws(WireError) {
    flag = try reader.byte()
    try reader.require(flag < 2)
    number = try reader.integer()
    ids = try reader.list { reader throws(WireError) in try OverlayID(from: &reader) }
    endpoint = try Endpoint(from: &reader)
  }

  func encode(to writer: inout WireWriter) {
    writer.byte(flag)
    writer.integer(number)
    writer.list(ids) { $0.encode(to: &$1) }
    endpoint.encode(to: &writer)
  }
}

@Suite struct WireTests {
  @Test(arguments: [1, 2, 3]) func messageIsReadBack(_ seed: UInt64) throws {
    var random = Random(seed: seed)
    let scratch = Scratch(capacity: 128)
    for _ in 0..<200 {
      let sample = Sample(random: &random)
      let length = try #require(sample.encode(into: scratch.frame))
      #expect(try Sample(decoding: scratch.frame.prefix(length)) == sample, "seed \(seed)")
    }
  }

  @Test(arguments: [1, 2, 3]) func everyTruncationIsRejected(_ seed: UInt64) throws {
    var random = Random(seed: seed)
    let scratch = Scratch(capacity: 128)
    let length = try #require(Sample(random: &random).encode(into: scratch.frame))
    for cut in 0..<length {
      do throws(WireError) {
        _ = try Sample(decoding: scratch.frame.prefix(cut))
        Issue.record("seed \(seed): accepted \(cut) of \(length) bytes")
      } catch {
        guard case .truncated(let offset) = error else {
          Issue.record("seed \(seed): \(error)")
          continue
        }
        #expect(offset <= cut)
      }
    }
  }

  @Test func trailingByteIsRejected() throws {
    var random = Random(seed: 1)
    let scratch = Scratch(capacity: 128)
    let length = try #require(Sample(random: &random).encode(into: scratch.frame))
    #expect(throws: WireError.trailing(offset: length)) {
      try Sample(decoding: scratch.frame.prefix(length + 1))
    }
  }

  @Test func valueOutOfRangeIsRejectedWithItsOffset() throws {
    let scratch = Scratch(capacity: 64)
    scratch.frame[0] = 2
    #expect(throws: WireError.invalid(offset: 1)) { try Sample(decoding: scratch.frame) }
    scratch.frame[0] = 1
    scratch.frame[5] = 4  // the count of a list of at most 3
    #expect(throws: WireError.invalid(offset: 6)) { try Sample(decoding: scratch.frame) }
  }

  @Test(arguments: [1, 2, 3]) func noiseIsReadOrRejectedButNeverOverrun(_ seed: UInt64) {
    var random = Random(seed: seed)
    let scratch = Scratch(capacity: 96)
    let copy = Scratch(capacity: 96)
    for _ in 0..<5_000 {
      let length = Int(random.below(97))
      for i in 0..<length { scratch.frame[i] = UInt8(truncatingIfNeeded: random.below(5)) }
      guard let sample = try? Sample(decoding: scratch.frame.prefix(length)) else { continue }
      #expect(sample.encode(into: copy.frame) == length)
      #expect(copy.frame.prefix(length).bytes == scratch.frame.prefix(length).bytes, "seed \(seed)")
    }
  }

  @Test func writerThatOverflowsSaysSoAndWritesNothingMore() {
    let scratch = Scratch(capacity: 4)
    var writer = WireWriter(scratch.frame)
    writer.integer(UInt16(0x0102))
    writer.integer(UInt32(0x0304_0506))
    #expect(writer.overflowed)
    writer.byte(9)
    #expect(writer.count == 2)
    #expect(scratch.frame.bytes == [1, 2, 0, 0])
  }

  @Test func messageThatDoesNotFitHasNoEncoding() throws {
    var random = Random(seed: 1)
    let sample = Sample(random: &random)
    let scratch = Scratch(capacity: 128)
    let length = try #require(sample.encode(into: scratch.frame))
    for room in 0..<length { #expect(sample.encode(into: scratch.frame.prefix(room)) == nil) }
  }

  @Test func restIsAllThatIsLeft() throws {
    let scratch = Scratch([1, 2, 3])
    var reader = WireReader(scratch.frame)
    let first = try reader.byte()
    let rest = reader.rest()
    #expect(first == 1)
    #expect(rest.bytes == [2, 3])
    #expect(reader.remaining == 0)
    try reader.finish()
  }

  @Test func negativeCountIsTruncated() {
    let scratch = Scratch([1, 2, 3])
    var reader = WireReader(scratch.frame)
    do throws(WireError) {
      _ = try reader.take(-1)
      Issue.record("accepted")
    } catch {
      #expect(error == .truncated(offset: 0))
    }
  }
}
