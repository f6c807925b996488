// Knocking: how two nodes find out which communities they share, and nothing else.
//
// Each side sends eight tokens, one for each of its communities and random ones in the places that are left.
// Only who has a community's knock key can tell its token from a random one. A token is bound to the
// handshake, to both identities and to the side that sends it, so it is worth nothing anywhere else, nor when
// it is sent back.

import Base

/// 16 bytes that only who has the key can tell from random ones.
public struct Token: FixedBytes {
  private var low: UInt64
  private var high: UInt64

  public static let zero = Token(low: 0, high: 0)
}

/// Eight tokens.
public struct TokenList: Equatable, Sendable, BitwiseCopyable, WireCodable {
  public static let count = 8

  private var tokens: InlineArray<8, Token>

  public init(repeating token: Token = .zero) { tokens = InlineArray(repeating: token) }

  public subscript(position: Int) -> Token {
    get { tokens[position] }
    set { tokens[position] = newValue }
  }

  /// Where `token` stands; nil when it is not in the list.
  func position(of token: Token) -> Int? {
    var found: Int?
    for i in 0..<Self.count where tokens[i].matches(token) { found = i }
    return found
  }

  public static func == (a: TokenList, b: TokenList) -> Bool {
    (0..<count).allSatisfy { a.tokens[$0] == b.tokens[$0] }
  }

  public init(from reader: inout WireReader) throws(WireError) {
    self.init()
    for i in 0..<Self.count { tokens[i] = try Token(from: &reader) }
  }

  public func encode(to writer: inout WireWriter) {
    for i in 0..<Self.count { tokens[i].encode(to: &writer) }
  }
}

/// The first control record of a generation of keys: from the initiator, and the responder's answer to it.
///
///  offset  size  field
///       0    16  reset token     proves a reset of the generation under which the record was sealed
///      16     8  remembered      a greater incarnation of the receiver that the sender remembers, else zero
///      24   128  tokens          one a community
public struct Hello: Equatable, Sendable, BitwiseCopyable, WireCodable {
  public static let byteCount = 152

  public var resetToken: Token
  public var remembered: UInt64
  public var tokens: TokenList

  public init(resetToken: Token, remembered: UInt64 = 0, tokens: TokenList) {
    self.resetToken = resetToken
    self.remembered = remembered
    self.tokens = tokens
  }

  public init(from reader: inout WireReader) throws(WireError) {
    resetToken = try Token(from: &reader)
    remembered = try reader.integer()
    tokens = try TokenList(from: &reader)
  }

  public func encode(to writer: inout WireWriter) {
    resetToken.encode(to: &writer)
    writer.integer(remembered)
    tokens.encode(to: &writer)
  }
}

/// What the tokens of one handshake are bound to.
struct KnockBinding: BitwiseCopyable {
  let hash: Digest
  let initiator: PublicKey
  let responder: PublicKey

  /// The token of the community with `knockKey`, sent by the initiator or by the responder.
  func token(_ knockKey: Key, fromInitiator: Bool, _ suite: Suite) -> Token {
    suite.labelled(fromInitiator ? "knock initiator" : "knock responder", key: knockKey) {
      $0.part(hash)
      $0.part(initiator)
      $0.part(responder)
    }
  }
}

/// Eight bytes in one word, read without allocation.
struct PackedBytes: Sendable, BitwiseCopyable {
  private var word: UInt64 = 0

  subscript(index: Int) -> UInt8 {
    @_noAllocation @_noLocks get {
      UInt8(truncatingIfNeeded: word &>> UInt64(truncatingIfNeeded: index &* 8))
    }
  }

  mutating func set(_ index: Int, _ value: UInt8) {
    word &= ~(0xFF &<< UInt64(index * 8))
    word |= UInt64(value) &<< UInt64(index * 8)
  }
}
