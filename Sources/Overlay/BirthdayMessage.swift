// What the two sides of a birthday attempt say to each other (`Birthday`).
//
// | offset | size | field |
// | --- | --- | --- |
// | 0 | 1 | 1 ask, 2 agreed, 3 not now |
// | 1 | 18 | where the sender is seen over IPv4; only in 1 and 2 |

import Base

/// Agreeing about an attempt.
public enum BirthdayMessage: Equatable, Sendable, WireCodable {
  /// The hard side asks whether the easy one will look for it; its address is what counts.
  case ask(Endpoint)
  /// The easy side begins to look, from this endpoint.
  case agreed(Endpoint)
  /// It is busy with another peer, or has done its part for the moment.
  case notNow

  public init(from reader: inout WireReader) throws(WireError) {
    switch try reader.byte() {
    case 1: self = .ask(try Endpoint(from: &reader))
    case 2: self = .agreed(try Endpoint(from: &reader))
    case 3: self = .notNow
    default: throw .invalid(offset: reader.offset)
    }
  }

  public func encode(to writer: inout WireWriter) {
    switch self {
    case .ask(let endpoint):
      writer.byte(1)
      endpoint.encode(to: &writer)
    case .agreed(let endpoint):
      writer.byte(2)
      endpoint.encode(to: &writer)
    case .notNow: writer.byte(3)
    }
  }
}
