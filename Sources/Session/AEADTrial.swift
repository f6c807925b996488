// The trial that a library must pass before records are given to it.
//
// A library that was found at run time may be of another build than expected, or wrong on this processor. So
// it computes published vectors, must agree with libsodium at lengths around every size of block that fast
// code works in, must write nowhere else, and must refuse what was changed. It takes about a millisecond.

import Base
import CSodium

/// The trial of an implementation of AES-256-GCM.
enum AEADTrial {
  /// Lengths of text: around multiples of 16 bytes and of the strides of vector code, of packets, and large.
  private static let lengths = [
    0, 1, 2, 7, 8, 15, 16, 17, 31, 32, 33, 47, 48, 49, 63, 64, 65, 79, 80, 81, 95, 96, 97, 111, 112, 113, 127,
    128,
    129, 143, 144, 191, 192, 193, 255, 256, 257, 271, 383, 384, 511, 512, 513, 767, 768, 769, 783, 1_023,
    1_024,
    1_025, 1_280, 1_399, 1_404, 1_424, 1_500, 2_047, 2_049, 4_095, 4_097, 8_961, 16_400, 32_771, 65_000,
  ]
  private static let associatedBytes = 12
  private static let longest = 65_000
  /// What stands behind each text and must stay.
  private static let guardBytes = 64
  private static let guardByte: UInt8 = 0xA5

  /// Whether `candidate` does what libsodium's AES-256-GCM does. *Precondition:* the processor has AES.
  static func passes(_ candidate: Cipher) -> Bool {
    knowsPublishedVectors(candidate) && agrees(candidate)
  }

  /// McGrew and Viega, "The Galois/Counter Mode of Operation (GCM)", appendix B, test cases 13 and 14: the
  /// key and the nonce are zero, the text is empty or 16 bytes of zero.
  private static func knowsPublishedVectors(_ candidate: Cipher) -> Bool {
    let vectors = [
      "530f8afbc74536b9a963b4f1c4cb738b", "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919",
    ]
    return vectors.allSatisfy { expected in
      let bench = Bench(candidate, key: .zero)
      let length = expected.utf8.count / 2 - 16
      bench.text.prefix(length).clear()
      bench.associated.clear()
      bench.seal(length, associatedLength: 0, counter: 0)
      return Hex.string(bench.sealed.prefix(length).bytes + bench.tag.bytes) == expected
    }
  }

  private static func agrees(_ candidate: Cipher) -> Bool {
    var random = Random(seed: 0x6763_6D)
    var key = Key.zero
    key.filling { fill($0, &random) }
    let reference = Bench(.aes256gcm, key: key)
    let bench = Bench(candidate, key: key)
    fill(reference.text, &random)
    fill(reference.associated, &random)
    bench.text.copy(reference.text)
    bench.associated.copy(reference.associated)
    return lengths.allSatisfy { length in
      let counter = random.next()
      reference.seal(length, associatedLength: associatedBytes, counter: counter)
      bench.guardSealed(length)
      bench.seal(length, associatedLength: associatedBytes, counter: counter)
      return isEqual(bench.tag, reference.tag)
        && isEqual(bench.sealed.prefix(length), reference.sealed.prefix(length))
        && bench.sealedIsGuarded(length)
        && opens(bench, length, counter) && bench.worksInPlace(as: reference, length, counter: counter)
    }
  }

  /// Whether what was sealed opens, and nothing that differs in one bit does.
  private static func opens(_ bench: Bench, _ length: Int, _ counter: UInt64) -> Bool {
    var changes = [
      (bench.tag, Int(counter % 16)), (bench.associated, Int(counter % UInt64(associatedBytes))),
    ]
    if length > 0 { changes.append((bench.sealed, Int(counter % UInt64(length)))) }
    for (frame, position) in changes {
      frame[position] ^= 0x10
      if bench.opens(length, counter: counter) { return false }
      frame[position] ^= 0x10
    }
    return !bench.opens(length, counter: counter ^ 1) && bench.opens(length, counter: counter)
      && isEqual(bench.opened.prefix(length), bench.text.prefix(length))
  }

  private static func fill(_ frame: Frame, _ random: inout Random) {
    for offset in stride(from: 0, to: frame.count - 7, by: 8) { frame.setLittle(offset, random.next()) }
  }

  private static func isEqual(_ a: Frame, _ b: Frame) -> Bool {
    a.count == b.count && sodium_memcmp(a.base, b.base, a.count) == 0
  }

  /// An expanded key, and the rooms that one implementation works in. Texts stand 4 bytes beyond a multiple
  /// of 8, as they do in records.
  private final class Bench {
    private static let roomBytes = longest + 2 * guardBytes
    private let cipher: Cipher
    private let state: UnsafeMutableRawPointer
    private let block = Scratch(capacity: 3 * roomBytes + 32)
    let text: Frame
    let sealed: Frame
    let opened: Frame
    let tag: Frame
    let associated: Frame

    init(_ cipher: Cipher, key: Key) {
      self.cipher = cipher
      state = .allocate(byteCount: cipher.stateBytes, alignment: Cipher.stateAlignment)
      cipher.expand(key, into: state)
      text = block.frame.slice(4, longest)
      sealed = block.frame.slice(Self.roomBytes + 4, longest + guardBytes)
      opened = block.frame.slice(2 * Self.roomBytes + 4, longest)
      tag = block.frame.slice(3 * Self.roomBytes, 16)
      associated = block.frame.slice(3 * Self.roomBytes + 16, associatedBytes)
    }

    deinit { state.deallocate() }

    func seal(_ length: Int, associatedLength: Int, counter: UInt64) {
      cipher.seal(
        text.base, length: length, into: sealed.base, tag: tag.base, associated: associated.base,
        associatedLength: associatedLength, counter: counter, state: state)
    }

    func opens(_ length: Int, counter: UInt64) -> Bool {
      cipher.open(
        sealed.base, length: length, into: opened.base, tag: tag.base, associated: associated.base,
        associatedLength: associatedBytes, counter: counter, state: state)
    }

    /// Whether text that is sealed and opened where it stands becomes what the reference made, and itself
    /// again.
    func worksInPlace(as reference: Bench, _ length: Int, counter: UInt64) -> Bool {
      opened.copy(text.prefix(length))
      cipher.seal(
        opened.base, length: length, tag: tag.base, associated: associated.base,
        associatedLength: associatedBytes, counter: counter, state: state)
      guard isEqual(opened.prefix(length), reference.sealed.prefix(length)), isEqual(tag, reference.tag)
      else {
        return false
      }
      return cipher.open(
        opened.base, length: length, tag: tag.base, associated: associated.base,
        associatedLength: associatedBytes, counter: counter, state: state)
        && isEqual(opened.prefix(length), text.prefix(length))
    }

    func guardSealed(_ length: Int) {
      for offset in 0..<guardBytes { sealed[length + offset] = guardByte }
    }

    func sealedIsGuarded(_ length: Int) -> Bool {
      (0..<guardBytes).allSatisfy { sealed[length + $0] == guardByte }
    }
  }
}
