// Which version of the program a node runs, as it tells others: 24 bytes of printable ASCII at most.
//
//  offset  size  field
//       0     …  the text: a list of at most 24 bytes, 33 to 126 each, one at least

import Base

/// The name of a version.
public struct ProgramVersion: Equatable, Sendable, BitwiseCopyable {
  private var text = BoundedArray<24, UInt8>()

  /// What is printable of `text`, as far as it fits; `unknown` when nothing is.
  public init(_ text: String) {
    for byte in text.utf8 where Self.isPrintable(byte) { self.text.append(byte) }
    if self.text.isEmpty { for byte in "unknown".utf8 { self.text.append(byte) } }
  }

  private static func isPrintable(_ byte: UInt8) -> Bool { (33...126).contains(byte) }
}

extension ProgramVersion: CustomStringConvertible, Comparable {
  public var description: String { String(decoding: (0..<text.count).map { text[$0] }, as: UTF8.self) }

  public static func < (a: ProgramVersion, b: ProgramVersion) -> Bool {
    for i in 0..<min(a.text.count, b.text.count) where a.text[i] != b.text[i] { return a.text[i] < b.text[i] }
    return a.text.count < b.text.count
  }
}

extension ProgramVersion: WireCodable {
  public init(from reader: inout WireReader) throws(WireError) {
    text = try reader.list { (r: inout WireReader) throws(WireError) in
      let byte = try r.byte()
      try r.require(Self.isPrintable(byte))
      return byte
    }
    try reader.require(!text.isEmpty)
  }

  public func encode(to writer: inout WireWriter) { writer.list(text) { $1.byte($0) } }
}
