// What the two sides of an attempt say to each other (`Birthday`, `Prediction`).
//
// | offset | size | field |
// | --- | --- | --- |
// | 0 | 1 | 1 ask, 2 agreed, 3 not now, 4 propose, 5 accept |
// | 1 | 18 | where the sender is seen over IPv4, or (4, 5) will be; not in 3 |

import Base

/// Agreeing about an attempt.
public enum BirthdayMessage: Equatable, Sendable, WireCodable {
  /// The hard side asks whether the easy one will look for it; its address is what counts.
  case ask(Endpoint)
  /// The easy side begins to look, from this endpoint.
  case agreed(Endpoint)
  /// It is busy with another peer, or has done its part for the moment.
  case notNow
  /// A side whose box counts says where it will be, and asks where to send to.
  case propose(Endpoint)
  /// There: where the sender is, if it is easy, or will be.
  case accept(Endpoint)

  public init(from reader: inout WireReader) throws(WireError) {
    switch try reader.byte() {
    case 1: self = .ask(try Endpoint(from: &reader))
    case 2: self = .agreed(try Endpoint(from: &reader))
    case 3: self = .notNow
    case 4: self = .propose(try Endpoint(from: &reader))
    case 5: self = .accept(try Endpoint(from: &reader))
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
    case .propose(let endpoint):
      writer.byte(4)
      endpoint.encode(to: &writer)
    case .accept(let endpoint):
      writer.byte(5)
      endpoint.encode(to: &writer)
    }
  }
}
