// Goal: it makes no difference but in time which library seals records, and whether they are sealed and
// opened in place. Method: both libraries work on the same texts, as ciphers and in tables of two nodes, one
// with each library; lengths go from nothing to large. Where libipsec-mb is missing its tests are skipped.

import Base
import CAEAD
import CAEADAbsent
import CMallocCount
import CSodium
import Testing

@testable import Session

/// Why the tests of libipsec-mb are skipped.
private let missing = "libipsec-mb was not there when this was built, or is not now (Tools/install-deps)"
private let isThere = BulkAEAD.best(.automatic) == .ipsecMB

struct BulkAEADTests {
  @Test func libsodiumWorksUntilSomethingElseIsChosen() {
    #expect(BulkAEAD.chosen == .libsodium)
    #expect(BulkAEAD.choose(.libsodium) == .libsodium)
    #expect(BulkAEAD.libsodium.name == "libsodium \(String(cString: sodium_version_string()))")
    #expect(BulkAEAD.best(.libsodium) == .libsodium)
    #expect(BulkAEAD.best(.ipsecMB) == BulkAEAD.best(.automatic))
  }

  @Test func withoutTheHeaderTheLibraryIsNotThere() {
    #expect(absent_load() == 0)
    #expect(String(cString: absent_version()) == "")
  }

  @Test func theTrialTellsACipherFromAnother() {
    #expect(!AEADTrial.passes(.chacha20poly1305))
    #expect(!AEADTrial.passes(.stub))
    #expect(!Sodium.hasAES || AEADTrial.passes(.aes256gcm))
  }

  @Test(.enabled(if: isThere, "\(missing)")) func libipsecMBIsNamedWithItsVersion() {
    let version = BulkAEAD.ipsecMB.name.split(separator: " ").last?.split(separator: ".").map { Int($0) }
    #expect(BulkAEAD.ipsecMB.name.hasPrefix("libipsec-mb ") && version?.count == 3)
  }

  @Test func theChoiceChangesNoLabel() {
    let bulk = Cipher(.real, .aes256gcm, .aes256gcm, bulk: .ipsecMB)
    #expect(bulk == .aes256gcmIPSecMB && bulk.label == Cipher.aes256gcm.label)
    #expect(Cipher(.real, .aes256gcm, [], bulk: .ipsecMB) == .chacha20poly1305)
    #expect(Cipher(.stub, .aes256gcm, .aes256gcm, bulk: .ipsecMB) == .stub)
  }

  /// McGrew and Viega, "The Galois/Counter Mode of Operation (GCM)", appendix B, test cases 15 and 16.
  @Test(
    .enabled(if: isThere, "\(missing)"),
    arguments: [
      (
        "", "1aafd255",
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b10"
          + "56828838c5f61e6393ba7a0abcc9f662898015ad", "b094dac5d93471bdec1a502270e3cc6c"
      ),
      (
        "feedfacedeadbeeffeedfacedeadbeefabaddad2", "",
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b10"
          + "56828838c5f61e6393ba7a0abcc9f662", "76fc6ece0f4e1768cddf8853bb2d551b"
      ),
    ])
  func aes256GCMOfMcGrewAndViega(
    associated: String, lastWord: String, expected: String, expectedTag: String
  ) throws {
    let text = try #require(
      Hex.bytes(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
          + "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39" + lastWord))
    let key = try #require(
      Hex.bytes("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"))
    let nonce = try #require(Hex.bytes("cafebabefacedbaddecaf888"))
    let associated = try #require(Hex.bytes(associated))
    let state = UnsafeMutableRawPointer.allocate(
      byteCount: Int(CAEAD_KEY_BYTES), alignment: Int(CAEAD_KEY_ALIGNMENT))
    defer { state.deallocate() }
    caead_expand(state, key)
    var bySodium = [UInt8](repeating: 0, count: text.count + 16)
    crypto_aead_aes256gcm_encrypt(
      &bySodium, nil, text, UInt64(text.count), associated, UInt64(associated.count), nil, nonce, key)
    #expect(Hex.string(bySodium) == expected + expectedTag)
    let room = Scratch(capacity: text.count + 16)
    let tag = room.frame.dropping(text.count)
    room.frame.write(text)
    let count = UInt64(text.count)
    associated.reading { ad in
      caead_seal(room.frame.base, tag.base, room.frame.base, count, ad.base, UInt64(ad.count), nonce, state)
    }
    #expect(Hex.string(room.frame.prefix(text.count).bytes) == expected)
    #expect(Hex.string(tag.bytes) == expectedTag)
    let opens = associated.reading { ad in
      caead_open(room.frame.base, tag.base, room.frame.base, count, ad.base, UInt64(ad.count), nonce, state)
    }
    #expect(opens == 1 && room.frame.prefix(text.count).bytes == text)
    tag[0] ^= 1
    let opensForged = associated.reading { ad in
      caead_open(room.frame.base, tag.base, room.frame.base, count, ad.base, UInt64(ad.count), nonce, state)
    }
    #expect(opensForged == 0 && room.frame.prefix(text.count).isZero)
  }
}

/// Which library each of two sides has.
private let sides: [(BulkAEAD, BulkAEAD)] =
  [(.libsodium, .libsodium)]
  + (isThere ? [(.libsodium, .ipsecMB), (.ipsecMB, .libsodium), (.ipsecMB, .ipsecMB)] : [])

struct OutOfPlaceTests {
  private static let lengths = Array(0...1_500) + [2_048, 4_095, 9_001, 16_384, 32_769, 64_999, 65_000]

  private enum Kind: CaseIterable { case aes, chacha, stub }

  private func connected(
    _ a: BulkAEAD, _ b: BulkAEAD, kind: Kind = .aes
  ) throws -> Pair {
    let identities =
      kind == .stub
      ? [1, 2].map { Identity.stub(number: $0) }.sorted { $0.publicKey < $1.publicKey } : Fixed.identities
    let capabilities: Capabilities = kind == .aes ? .aes256gcm : []
    let pair = Pair(
      Side(identities[0], capabilities: capabilities, seed: 1),
      Side(identities[1], capabilities: capabilities, seed: 2))
    pair.a.table.bulk = a
    pair.b.table.bulk = b
    try pair.connect()
    return pair
  }

  @Test(.enabled(if: isThere, "\(missing)")) func recordsOfOneLibraryOpenUnderTheOther() throws {
    for (a, b) in sides { try exchange(try connected(a, b), Self.lengths) }
  }

  @Test func recordsOpenWhereverTheyWereSealed() throws {
    try exchange(try connected(.libsodium, .libsodium), Self.lengths)
    try exchange(try connected(.libsodium, .libsodium, kind: .chacha), Self.lengths)
    try exchange(try connected(.libsodium, .libsodium, kind: .stub), Self.lengths)
  }

  /// Seals and opens packets of each length in place and out of place, in all four combinations.
  private func exchange(_ pair: Pair, _ lengths: [Int]) throws {
    let id = try #require(pair.a.session(pair.b))
    let bench = Bench()
    for length in lengths {
      bench.fill(length)
      for way in 0..<4 {
        let sealed = bench.seal(pair.a, id, length, inPlace: way & 1 == 0)
        let opened = sealed && bench.open(pair.b, length, inPlace: way & 2 == 0)
        if !opened { Issue.record("\(length) bytes, way \(way)") }
      }
    }
  }

  @Test func nothingThatDiffersInOneBitOpens() throws {
    for (a, b) in sides {
      let pair = try connected(a, b)
      let id = try #require(pair.a.session(pair.b))
      let bench = Bench()
      let length = 37
      bench.fill(length)
      #expect(bench.seal(pair.a, id, length, inPlace: false))
      let datagram = bench.datagram.prefix(length + SessionTable.overhead)
      let text = bench.text.prefix(length + SessionTable.contentBytes)
      let before = datagram.bytes
      for bit in 0..<(datagram.count * 8) {
        datagram[bit / 8] ^= 1 << UInt8(bit % 8)
        let changed = datagram.bytes
        if case .opened = pair.b.table.open(datagram, into: text, at: pair.b.now) {
          Issue.record("bit \(bit)")
        }
        if datagram.bytes != changed { Issue.record("bit \(bit): the datagram was written to") }
        datagram.write(before)
      }
      #expect(bench.open(pair.b, length, inPlace: false), "forged records must not keep the true one out")
    }
  }

  @Test func whatIsTooShortIsMalformedWhateverTheTextIs() throws {
    let pair = try connected(.libsodium, .libsodium)
    let room = Scratch(capacity: 64)
    room.frame[0] = SessionTable.recordKind
    for count in 0..<32 {
      for textCount in [0, 4, 32] {
        let result = pair.b.table.open(
          room.frame.prefix(count), into: room.frame.slice(32, textCount), at: pair.b.now)
        guard case .dropped(.malformed) = result else {
          Issue.record("\(count) bytes")
          continue
        }
      }
    }
  }

  @Test func theTextSaysContentAndOffload() throws {
    let pair = try connected(.libsodium, .libsodium)
    let id = try #require(pair.a.session(pair.b))
    let text = Scratch(capacity: 5)
    let datagram = Scratch(capacity: 33)
    text.frame.write([0xFF, 0xFF, 0xFF, 0xFF, 7])
    let sealed = pair.a.table.seal(
      id, space: 1, content: 9, offload: 0x0102, text: text.frame, into: datagram.frame)
    #expect(sealed == .sealed && text.frame.bytes == [9, 1, 2, 0, 7])
    guard case .opened(let received) = pair.b.open(datagram.frame.bytes) else {
      Issue.record("it does not open")
      return
    }
    #expect(received.content == 9 && received.offload == 0x0102 && received.packet == [7])
  }

  /// The keys of libipsec-mb take 1 KiB more in each generation.
  @Test func aSessionStaysSmall() throws {
    for (a, b) in sides {
      let pair = try connected(a, b)
      let id = try #require(pair.b.session(pair.a))
      #expect(pair.carries(from: pair.a, space: 0))
      #expect(pair.b.footprint(id) < (b == .ipsecMB ? 4 : 3) << 10, "\(b)")
      #expect(pair.sealing.allSatisfy { UInt(bitPattern: $0.sealingKey) % 64 == 0 })
      #expect(pair.sealing.allSatisfy { UInt(bitPattern: $0.openingKey) % 16 == 0 })
    }
  }

  @Test func recordsAllocateNothing() throws {
    for (a, b) in sides {
      let pair = try connected(a, b)
      let id = try #require(pair.a.session(pair.b))
      let bench = Bench()
      bench.fill(1_400)
      var opened = bench.seal(pair.a, id, 1_400, inPlace: false) && bench.open(pair.b, 1_400, inPlace: false)
      allocations_begin()
      for way in 0..<8 {
        opened = opened && bench.seal(pair.a, id, 1_400, inPlace: way & 1 == 0)
        opened = opened && bench.open(pair.b, 1_400, inPlace: way & 2 == 0)
      }
      let count = allocations_end()
      #expect(opened && count == 0)
    }
  }
}

extension Pair {
  /// What seals on both sides.
  fileprivate var sealing: [GenerationPointer] { [a.sealing(b), b.sealing(a)].compactMap { $0 } }
}

/// Rooms for a text and its record, and the packet that must come out.
private final class Bench {
  private static let roomBytes = 65_536
  private let block = Scratch(capacity: 3 * roomBytes)
  private let packet: Frame
  let text: Frame
  let datagram: Frame

  init() {
    packet = block.frame.prefix(Self.roomBytes)
    text = block.frame.slice(Self.roomBytes, Self.roomBytes)
    datagram = block.frame.slice(2 * Self.roomBytes, Self.roomBytes)
  }

  func fill(_ length: Int) {
    var random = Random(seed: UInt64(length))
    for offset in stride(from: 0, to: length, by: 8) { packet.setLittle(offset, random.next()) }
  }

  /// Whether the packet became a record.
  func seal(_ side: Side, _ id: SessionID, _ length: Int, inPlace: Bool) -> Bool {
    let record = datagram.prefix(length + SessionTable.overhead)
    if inPlace {
      record.dropping(16).copy(packet.prefix(length))
      return side.table.seal(id, space: 1, content: 5, offload: 1, datagram: record) == .sealed
    }
    let text = text.prefix(length + SessionTable.contentBytes)
    text.dropping(4).copy(packet.prefix(length))
    return side.table.seal(id, space: 1, content: 5, offload: 1, text: text, into: record) == .sealed
  }

  /// Whether the record opens and is the packet.
  func open(_ side: Side, _ length: Int, inPlace: Bool) -> Bool {
    let record = datagram.prefix(length + SessionTable.overhead)
    let text = text.prefix(length + SessionTable.contentBytes)
    text.clear()
    let result =
      inPlace ? side.table.open(record, at: side.now) : side.table.open(record, into: text, at: side.now)
    guard case .opened(let opened) = result, opened.content == 5, opened.offload == 1,
      opened.packet.count == length, opened.packet.base == (inPlace ? record.base + 16 : text.base + 4)
    else { return false }
    return sodium_memcmp(opened.packet.base, packet.base, length) == 0
  }
}
