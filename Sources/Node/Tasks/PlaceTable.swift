// Places in messages in which most of them occur several times: each is written once, and named by its
// number.
//
//  offset  size  field
//       0     2  n: places of those that the message is about
//       2     2  m: further places that they name
//       4   8·n  the former, rising
//       …   8·m  the latter, rising; each is named at least once
//
// A number has one byte while there are fewer than 255 places, else two. 0 names nobody.

import Base

/// The places of a message.
struct PlaceTable {
  /// 0 means nobody, and numbers of two bytes must do.
  static let limit = 65_534
  /// Those the message is about, then the others.
  private let places: [UInt64]
  /// How many the message is about.
  let subjects: Int
  /// Which of the others were named.
  private var isNamed: [Bool]

  /// - Parameters:
  ///   - subjects: rising.
  ///   - named: in any order, subjects or not.
  init(subjects: [UInt64], named: [UInt64]) {
    var others: [UInt64] = []
    for place in named.sorted() where others.last != place && Self.index(of: place, in: subjects[...]) == nil
    {
      others.append(place)
    }
    places = subjects + others
    self.subjects = subjects.count
    isNamed = Array(repeating: true, count: others.count)
    precondition(places.count <= Self.limit)
  }

  private var isWide: Bool { places.count >= 255 }

  /// Bytes of the table, and of a number.
  var byteCount: Int { 4 + 8 * places.count }
  var numberBytes: Int { isWide ? 2 : 1 }

  /// The place of a subject.
  func subject(_ index: Int) -> UInt64 { places[index] }

  /// Where `place` stands in a rising list.
  static func index(of place: UInt64, in list: ArraySlice<UInt64>) -> Int? {
    var low = list.startIndex
    var high = list.endIndex
    while low < high {
      let middle = (low + high) / 2
      if list[middle] < place { low = middle + 1 } else { high = middle }
    }
    return low < list.endIndex && list[low] == place ? low : nil
  }

  /// Writes the number of a place. *Precondition:* it is in the table.
  func write(_ place: UInt64?, to writer: inout WireWriter) {
    var number = 0
    if let place {
      let index =
        Self.index(of: place, in: places[..<subjects]) ?? Self.index(of: place, in: places[subjects...])
      precondition(index != nil)
      number = index! + 1
    }
    if isWide { writer.integer(UInt16(number)) } else { writer.byte(UInt8(number)) }
  }

  /// Reads the number of a place.
  mutating func read(from reader: inout WireReader) throws(WireError) -> UInt64? {
    let number = isWide ? Int(try reader.integer(UInt16.self)) : Int(try reader.byte())
    try reader.require(number <= places.count)
    if number == 0 { return nil }
    if number > subjects { isNamed[number - 1 - subjects] = true }
    return places[number - 1]
  }

  /// Rejects a message that has places which nobody named.
  func finish(_ reader: WireReader) throws(WireError) { try reader.require(!isNamed.contains(false)) }
}

extension PlaceTable {
  /// Reads the table. What it belongs to reads the numbers, and then asks it to `finish`.
  init(from reader: inout WireReader) throws(WireError) {
    let subjects = Int(try reader.integer(UInt16.self))
    let others = Int(try reader.integer(UInt16.self))
    // What is not there is not made room for.
    try reader.require(subjects + others <= Self.limit && 8 * (subjects + others) <= reader.remaining)
    var places: [UInt64] = []
    places.reserveCapacity(subjects + others)
    for i in 0..<subjects + others {
      let place: UInt64 = try reader.integer()
      try reader.require(i == 0 || i == subjects || places[i - 1] < place)
      try reader.require(i < subjects || Self.index(of: place, in: places[..<subjects]) == nil)
      places.append(place)
    }
    self.places = places
    self.subjects = subjects
    isNamed = Array(repeating: false, count: others)
  }

  /// Writes the table.
  func encode(to writer: inout WireWriter) {
    writer.integer(UInt16(subjects))
    writer.integer(UInt16(places.count - subjects))
    for place in places { writer.integer(place) }
  }
}
