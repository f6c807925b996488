// What the messages of a handshake carry, encrypted. Each begins with the sender's Ed25519 key and ends with
// zero bytes, which are checked, up to the length that makes all handshake datagrams equally long.

import Base

/// The initiator's payload: message 1 of IK, message 3 of XX.
///
///  offset  size  field
///       0    32  key
///      32     8  incarnation     of the sender
///      40     8  sequence        of the init, rising within an incarnation
///      48     4  previous        the responder's index of the generation in use, else zero
///      52     4  capabilities
struct InitiatorPayload: Equatable, WireCodable {
  var key: PublicKey
  var incarnation: UInt64
  var sequence: UInt64
  var previous: UInt32
  var capabilities: Capabilities

  init(key: PublicKey, incarnation: UInt64, sequence: UInt64, previous: UInt32, capabilities: Capabilities) {
    self.key = key
    self.incarnation = incarnation
    self.sequence = sequence
    self.previous = previous
    self.capabilities = capabilities
  }

  init(from reader: inout WireReader) throws(WireError) {
    key = try PublicKey(from: &reader)
    incarnation = try reader.integer()
    sequence = try reader.integer()
    previous = try reader.integer()
    capabilities = try Capabilities(from: &reader)
    try reader.requireZeros()
  }

  func encode(to writer: inout WireWriter) {
    key.encode(to: &writer)
    writer.integer(incarnation)
    writer.integer(sequence)
    writer.integer(previous)
    capabilities.encode(to: &writer)
  }
}

/// The responder's payload in XX.
///
///  offset  size  field
///       0    32  key
///      32     8  incarnation     of the sender
///      40     4  capabilities
struct ResponderPayload: Equatable, WireCodable {
  var key: PublicKey
  var incarnation: UInt64
  var capabilities: Capabilities

  init(key: PublicKey, incarnation: UInt64, capabilities: Capabilities) {
    self.key = key
    self.incarnation = incarnation
    self.capabilities = capabilities
  }

  init(from reader: inout WireReader) throws(WireError) {
    try self.init(fields: &reader)
    try reader.requireZeros()
  }

  fileprivate init(fields reader: inout WireReader) throws(WireError) {
    key = try PublicKey(from: &reader)
    incarnation = try reader.integer()
    capabilities = try Capabilities(from: &reader)
  }

  func encode(to writer: inout WireWriter) {
    key.encode(to: &writer)
    writer.integer(incarnation)
    capabilities.encode(to: &writer)
  }
}

/// The responder's payload in IK: who asked is known, so it can also knock.
///
///  offset  size  field
///       0    44  as in XX
///      44   152  hello           bound to the handshake hash before this payload
struct KnockingPayload: Equatable, WireCodable {
  var responder: ResponderPayload
  var hello: Hello

  init(responder: ResponderPayload, hello: Hello) {
    self.responder = responder
    self.hello = hello
  }

  init(from reader: inout WireReader) throws(WireError) {
    responder = try ResponderPayload(fields: &reader)
    hello = try Hello(from: &reader)
    try reader.requireZeros()
  }

  func encode(to writer: inout WireWriter) {
    responder.encode(to: &writer)
    hello.encode(to: &writer)
  }
}

extension WireCodable {
  /// The encoding with zero bytes behind it. *Precondition:* it fits into `count` bytes.
  func padded(to count: Int) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    let fits = bytes.withUnsafeMutableBytes {
      encode(into: Frame(base: $0.baseAddress!, count: count)) != nil
    }
    precondition(fits)
    return bytes
  }
}

extension WireReader {
  /// Rejects the rest unless all of it is zero bytes.
  mutating func requireZeros() throws(WireError) {
    let padding = rest()
    try require(padding.isZero)
  }
}
