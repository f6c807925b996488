// Sealing and opening of records: AES-256-GCM or ChaCha20-Poly1305 (RFC 8439), by libsodium, or AES-256-GCM
// by libipsec-mb (`BulkAEAD`). The output is the input, or memory that does not overlap it.
//
// The compiler proves that the code per record neither allocates nor locks, but it trusts only functions that
// it can see. The libraries' entry points are therefore declared here once more, with the promise that they
// do neither (they work on the memory that they are given). This is the only file with such declarations.

import Base
import CAEAD
import CSodium

/// The cipher of a generation of keys, and whose code it is.
enum Cipher: UInt8 {
  case aes256gcm = 1
  case chacha20poly1305 = 2
  /// No cipher: see `Suite`.
  case stub = 3
  /// The same cipher as `aes256gcm`, by libipsec-mb: only this side knows the difference.
  case aes256gcmIPSecMB = 4

  /// Both sides must have AES instructions; else ChaCha20, which is fast on every processor.
  init(_ suite: Suite, _ a: Capabilities, _ b: Capabilities, bulk: BulkAEAD) {
    let haveAES = a.contains(.aes256gcm) && b.contains(.aes256gcm)
    switch (suite, bulk) {
    case (.stub, _): self = .stub
    case (.real, _) where !haveAES: self = .chacha20poly1305
    case (.real, .libsodium): self = .aes256gcm
    case (.real, .ipsecMB): self = .aes256gcmIPSecMB
    }
  }

  /// Enters the derivation of the transport keys, so that no key ever meets two ciphers.
  var label: String {
    switch self {
    case .aes256gcm, .aes256gcmIPSecMB: "p2pvpn/1 transport aes256gcm"
    case .chacha20poly1305: "p2pvpn/1 transport chacha20poly1305"
    case .stub: "p2pvpn/1 transport stub"
    }
  }

  /// Bytes of an expanded key. Those of libipsec-mb are a multiple of `stateAlignment`.
  var stateBytes: Int {
    @_noAllocation @_noLocks get {
      switch self {
      case .aes256gcm: 512
      case .aes256gcmIPSecMB: 1_024
      case .chacha20poly1305: 32
      case .stub: StubCipher.stateBytes
      }
    }
  }

  /// How an expanded key of libipsec-mb must be aligned; 16 bytes do for the others.
  static var stateAlignment: Int {
    @_noAllocation @_noLocks get { 64 }
  }

  /// Writes what `seal` and `open` need of `key` to `state`: `stateBytes` bytes, aligned.
  func expand(_ key: Key, into state: UnsafeMutableRawPointer) {
    switch self {
    case .aes256gcm:
      precondition(crypto_aead_aes256gcm_statebytes() == stateBytes)
      _ = key.reading { aesExpand(state, $0.base) }
    case .aes256gcmIPSecMB:
      precondition(CAEAD_KEY_BYTES == stateBytes && CAEAD_KEY_ALIGNMENT == Self.stateAlignment)
      precondition(UInt(bitPattern: state) % UInt(Self.stateAlignment) == 0)
      key.reading { caead_expand(state, $0.base) }
    case .chacha20poly1305: state.storeBytes(of: key, as: Key.self)
    case .stub: StubCipher.expand(key, into: state)
    }
  }

  /// Encrypts `length` bytes at `text` in place and writes the tag.
  @_noAllocation @_noLocks
  func seal(
    _ text: UnsafeMutableRawPointer, length: Int, tag: UnsafeMutableRawPointer, associated: UnsafeRawPointer,
    associatedLength: Int, counter: UInt64, state: UnsafeRawPointer
  ) {
    seal(
      text, length: length, into: text, tag: tag, associated: associated, associatedLength: associatedLength,
      counter: counter, state: state)
  }

  /// Encrypts `length` bytes at `text` to `output` and writes the tag.
  @_noAllocation @_noLocks
  func seal(
    _ text: UnsafeRawPointer, length: Int, into output: UnsafeMutableRawPointer, tag: UnsafeMutableRawPointer,
    associated: UnsafeRawPointer, associatedLength: Int, counter: UInt64, state: UnsafeRawPointer
  ) {
    var nonce = Nonce(counter)
    switch self {
    case .aes256gcmIPSecMB:
      ipsecMBSeal(
        output, tag, text, UInt64(truncatingIfNeeded: length), associated,
        UInt64(truncatingIfNeeded: associatedLength), &nonce, state)
    case .aes256gcm:
      _ = aesSeal(
        output, tag, nil, text, UInt64(length), associated, UInt64(associatedLength), nil, &nonce, state)
    case .chacha20poly1305:
      _ = chachaSeal(
        output, tag, nil, text, UInt64(length), associated, UInt64(associatedLength), nil, &nonce, state)
    case .stub:
      let (low, high) = StubCipher.tag(
        text, length: length, associated: associated, associatedLength: associatedLength, counter: counter,
        state: state)
      if output != text { output.copyMemory(from: text, byteCount: length) }
      tag.storeBytes(of: low, as: UInt64.self)
      tag.storeBytes(of: high, toByteOffset: 8, as: UInt64.self)
    }
  }

  /// Checks the tag and decrypts `length` bytes at `text` in place.
  /// - Returns: whether the tag was right; if not, what stands there is of no use.
  @_noAllocation @_noLocks
  func open(
    _ text: UnsafeMutableRawPointer, length: Int, tag: UnsafeRawPointer, associated: UnsafeRawPointer,
    associatedLength: Int, counter: UInt64, state: UnsafeRawPointer
  ) -> Bool {
    open(
      text, length: length, into: text, tag: tag, associated: associated, associatedLength: associatedLength,
      counter: counter, state: state)
  }

  /// Checks the tag and decrypts `length` bytes at `text` to `output`.
  /// - Returns: whether the tag was right; if not, what stands at `output` is of no use.
  @_noAllocation @_noLocks
  func open(
    _ text: UnsafeRawPointer, length: Int, into output: UnsafeMutableRawPointer, tag: UnsafeRawPointer,
    associated: UnsafeRawPointer, associatedLength: Int, counter: UInt64, state: UnsafeRawPointer
  ) -> Bool {
    var nonce = Nonce(counter)
    switch self {
    case .aes256gcmIPSecMB:
      return ipsecMBOpen(
        output, tag, text, UInt64(truncatingIfNeeded: length), associated,
        UInt64(truncatingIfNeeded: associatedLength), &nonce, state) == 1
    case .aes256gcm:
      return aesOpen(
        output, nil, text, UInt64(length), tag, associated, UInt64(associatedLength), &nonce, state) == 0
    case .chacha20poly1305:
      return chachaOpen(
        output, nil, text, UInt64(length), tag, associated, UInt64(associatedLength), &nonce, state) == 0
    case .stub:
      let (low, high) = StubCipher.tag(
        text, length: length, associated: associated, associatedLength: associatedLength, counter: counter,
        state: state)
      let isRight =
        tag.loadUnaligned(as: UInt64.self) == low
        && tag.loadUnaligned(fromByteOffset: 8, as: UInt64.self) == high
      if isRight, output != text { output.copyMemory(from: text, byteCount: length) }
      return isRight
    }
  }
}

/// 4 zero bytes, then the counter as it stands in the header, little-endian.
private struct Nonce: BitwiseCopyable {
  var zero: UInt32 = 0
  var low: UInt32
  var high: UInt32

  @_noAllocation @_noLocks
  init(_ counter: UInt64) {
    low = UInt32(truncatingIfNeeded: counter).littleEndian
    high = UInt32(truncatingIfNeeded: counter &>> 32).littleEndian
  }
}

@_extern(c, "crypto_aead_aes256gcm_beforenm") @_noAllocation @_noLocks
private func aesExpand(_ state: UnsafeMutableRawPointer, _ key: UnsafeRawPointer) -> Int32

@_extern(c, "crypto_aead_aes256gcm_encrypt_detached_afternm") @_noAllocation @_noLocks
private func aesSeal(
  _ output: UnsafeMutableRawPointer, _ tag: UnsafeMutableRawPointer, _ tagLength: UnsafeMutableRawPointer?,
  _ text: UnsafeRawPointer, _ length: UInt64, _ associated: UnsafeRawPointer, _ associatedLength: UInt64,
  _ unused: UnsafeRawPointer?, _ nonce: UnsafeRawPointer, _ state: UnsafeRawPointer
) -> Int32

@_extern(c, "crypto_aead_aes256gcm_decrypt_detached_afternm") @_noAllocation @_noLocks
private func aesOpen(
  _ output: UnsafeMutableRawPointer, _ unused: UnsafeMutableRawPointer?, _ text: UnsafeRawPointer,
  _ length: UInt64, _ tag: UnsafeRawPointer, _ associated: UnsafeRawPointer, _ associatedLength: UInt64,
  _ nonce: UnsafeRawPointer, _ state: UnsafeRawPointer
) -> Int32

@_extern(c, "crypto_aead_chacha20poly1305_ietf_encrypt_detached") @_noAllocation @_noLocks
private func chachaSeal(
  _ output: UnsafeMutableRawPointer, _ tag: UnsafeMutableRawPointer, _ tagLength: UnsafeMutableRawPointer?,
  _ text: UnsafeRawPointer, _ length: UInt64, _ associated: UnsafeRawPointer, _ associatedLength: UInt64,
  _ unused: UnsafeRawPointer?, _ nonce: UnsafeRawPointer, _ key: UnsafeRawPointer
) -> Int32

@_extern(c, "crypto_aead_chacha20poly1305_ietf_decrypt_detached") @_noAllocation @_noLocks
private func chachaOpen(
  _ output: UnsafeMutableRawPointer, _ unused: UnsafeMutableRawPointer?, _ text: UnsafeRawPointer,
  _ length: UInt64, _ tag: UnsafeRawPointer, _ associated: UnsafeRawPointer, _ associatedLength: UInt64,
  _ nonce: UnsafeRawPointer, _ key: UnsafeRawPointer
) -> Int32

@_extern(c, "caead_seal") @_noAllocation @_noLocks
private func ipsecMBSeal(
  _ output: UnsafeMutableRawPointer, _ tag: UnsafeMutableRawPointer, _ text: UnsafeRawPointer,
  _ length: UInt64,
  _ associated: UnsafeRawPointer, _ associatedLength: UInt64, _ nonce: UnsafeRawPointer,
  _ state: UnsafeRawPointer
)

@_extern(c, "caead_open") @_noAllocation @_noLocks
private func ipsecMBOpen(
  _ output: UnsafeMutableRawPointer, _ tag: UnsafeRawPointer, _ text: UnsafeRawPointer, _ length: UInt64,
  _ associated: UnsafeRawPointer, _ associatedLength: UInt64, _ nonce: UnsafeRawPointer,
  _ state: UnsafeRawPointer
) -> Int32
