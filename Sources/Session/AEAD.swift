// Sealing and opening of records in place: AES-256-GCM or ChaCha20-Poly1305 (RFC 8439), by libsodium.
//
// The compiler proves that the code per record neither allocates nor locks, but it trusts only functions that
// it can see. libsodium's entry points are therefore declared here once more, with the promise that they do
// neither (they work on the memory that they are given). This is the only file with such declarations.

import Base
import CSodium

/// The cipher of a generation of keys.
enum Cipher: UInt8 {
  case aes256gcm = 1
  case chacha20poly1305 = 2
  /// No cipher: see `Suite`.
  case stub = 3

  /// Both sides must have AES instructions; else ChaCha20, which is fast on every processor.
  init(_ suite: Suite, _ a: Capabilities, _ b: Capabilities) {
    switch suite {
    case .real: self = a.contains(.aes256gcm) && b.contains(.aes256gcm) ? .aes256gcm : .chacha20poly1305
    case .stub: self = .stub
    }
  }

  /// Enters the derivation of the transport keys, so that no key ever meets two ciphers.
  var label: String {
    switch self {
    case .aes256gcm: "p2pvpn/1 transport aes256gcm"
    case .chacha20poly1305: "p2pvpn/1 transport chacha20poly1305"
    case .stub: "p2pvpn/1 transport stub"
    }
  }

  /// Bytes of an expanded key.
  var stateBytes: Int {
    @_noAllocation @_noLocks get {
      switch self {
      case .aes256gcm: 512
      case .chacha20poly1305: 32
      case .stub: StubCipher.stateBytes
      }
    }
  }

  /// Writes what `seal` and `open` need of `key` to `state`: `stateBytes` bytes, 16-byte aligned.
  func expand(_ key: Key, into state: UnsafeMutableRawPointer) {
    switch self {
    case .aes256gcm:
      precondition(crypto_aead_aes256gcm_statebytes() == stateBytes)
      _ = key.reading { aesExpand(state, $0.base) }
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
    if self == .stub {
      let (low, high) = StubCipher.tag(
        text, length: length, associated: associated, associatedLength: associatedLength, counter: counter,
        state: state)
      tag.storeBytes(of: low, as: UInt64.self)
      tag.storeBytes(of: high, toByteOffset: 8, as: UInt64.self)
      return
    }
    var nonce = Nonce(counter)
    if self == .aes256gcm {
      _ = aesSeal(
        text, tag, nil, text, UInt64(length), associated, UInt64(associatedLength), nil, &nonce, state)
    } else {
      _ = chachaSeal(
        text, tag, nil, text, UInt64(length), associated, UInt64(associatedLength), nil, &nonce, state)
    }
  }

  /// Checks the tag and decrypts `length` bytes at `text` in place.
  /// - Returns: whether the tag was right.
  @_noAllocation @_noLocks
  func open(
    _ text: UnsafeMutableRawPointer, length: Int, tag: UnsafeRawPointer, associated: UnsafeRawPointer,
    associatedLength: Int, counter: UInt64, state: UnsafeRawPointer
  ) -> Bool {
    if self == .stub {
      let (low, high) = StubCipher.tag(
        text, length: length, associated: associated, associatedLength: associatedLength, counter: counter,
        state: state)
      return tag.loadUnaligned(as: UInt64.self) == low
        && tag.loadUnaligned(fromByteOffset: 8, as: UInt64.self) == high
    }
    var nonce = Nonce(counter)
    if self == .aes256gcm {
      return aesOpen(
        text, nil, text, UInt64(length), tag, associated, UInt64(associatedLength), &nonce, state) == 0
    }
    return chachaOpen(
      text, nil, text, UInt64(length), tag, associated, UInt64(associatedLength), &nonce, state) == 0
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
