// What people call a member: a name that it has chosen itself, spelled like a label of the domain name system
// (RFC 1123, section 2.1), so that it can be printed anywhere as it is.
//
// Nobody checks whose a name is: two members may bear the same, and what a name stands for is the identity
// beside it.
//
//  offset  size  field
//       0     1  length, 1 … 63
//       1     n  letters, digits and hyphens of ASCII; no hyphen at either end

import Base

/// A name that can be printed.
public struct MemberName: Equatable, Sendable, BitwiseCopyable {
  public static let bytesMax = 63
  private var letters = BoundedArray<63, UInt8>()

  /// Reads a name; nil when it is none.
  public init?(_ text: String) {
    guard text.utf8.count <= Self.bytesMax else { return nil }
    for byte in text.utf8 { letters.append(byte) }
    guard isLabel else { return nil }
  }

  private var isLabel: Bool {
    let hyphen = UInt8(ascii: "-")
    guard !letters.isEmpty, letters[0] != hyphen, letters[letters.count - 1] != hyphen else { return false }
    return !letters.contains {
      switch $0 {
      case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
        UInt8(ascii: "0")...UInt8(ascii: "9"), hyphen:
        false
      default: true
      }
    }
  }
}

extension MemberName: CustomStringConvertible {
  public var description: String {
    String(decoding: (0..<letters.count).map { letters[$0] }, as: UTF8.self)
  }
}

extension MemberName: WireCodable {
  public init(from reader: inout WireReader) throws(WireError) {
    letters = try reader.list { (r: inout WireReader) throws(WireError) in try r.byte() }
    try reader.require(isLabel)
  }

  public func encode(to writer: inout WireWriter) { writer.list(letters) { $1.byte($0) } }
}
