// Goal: what a kernel reports of multicast groups is read, bytes that are no report change nothing, and the
// queries are what a kernel takes for one.
// Method: reports made by hand, whole, cut, and with each bit turned; checksums by an independent sum.

import Base
import Testing

@testable import VPN

/// Reports as kernels make them.
enum Reports {
  static let group = IPAddress("239.1.2.3")!
  static let other = IPAddress("232.9.9.9")!
  static let group6 = IPAddress("ff15::7741")!
  static let linkLocal = IPAddress("fe80::42")!

  /// A record of an IGMPv3 or MLDv2 report.
  struct Record {
    var type: UInt8
    var group: IPAddress
    var sources: [IPAddress] = []
    var words: UInt8 = 0

    var bytes: [UInt8] {
      [type, words, 0, UInt8(sources.count)] + Packets.bytes(group) + sources.flatMap { Packets.bytes($0) }
        + [UInt8](repeating: 7, count: 4 * Int(words))
    }
  }

  static func igmp(_ body: [UInt8], from source: IPAddress = Packets.a) -> [UInt8] {
    let body = checked(body, at: 2)
    let length = 24 + body.count
    let header: [UInt8] =
      [0x46, 0xC0, UInt8(length >> 8), UInt8(length & 255), 0, 0, 0x40, 0, 1, 2, 0, 0] + Packets.bytes(source)
      + Packets.bytes(IPAddress("224.0.0.22")!) + [0x94, 4, 0, 0]
    return checked(header, at: 10) + body
  }

  static func igmp3(_ records: [Record]) -> [UInt8] {
    igmp([0x22, 0, 0, 0, 0, 0, 0, UInt8(records.count)] + records.flatMap(\.bytes))
  }

  static func mld(_ body: [UInt8], from source: IPAddress = linkLocal) -> [UInt8] {
    let addresses = Packets.bytes(source) + Packets.bytes(IPAddress("ff02::16")!)
    let pseudo = addresses + [0, 0, UInt8(body.count >> 8), UInt8(body.count & 255), 0, 0, 0, 58]
    let whole = checked(body, at: 2, with: pseudo)
    let length = whole.count + 8
    return [0x60, 0, 0, 0, UInt8(length >> 8), UInt8(length & 255), 0, 1] + addresses
      + [58, 0, 5, 2, 0, 0, 1, 0] + whole
  }

  static func mld2(_ records: [Record]) -> [UInt8] {
    mld([143, 0, 0, 0, 0, 0, 0, UInt8(records.count)] + records.flatMap(\.bytes))
  }

  private static func checked(_ bytes: [UInt8], at place: Int, with others: [UInt8] = []) -> [UInt8] {
    var bytes = bytes
    let sum = 0xFFFF - Packets.sum(others + bytes)
    bytes[place] = UInt8(sum >> 8)
    bytes[place + 1] = UInt8(sum & 255)
    return bytes
  }
}

@Suite struct ListenerTests {
  private func read(_ bytes: [UInt8]) -> (ListenerReport.Outcome, [String]) {
    let frame = Packets.frame(bytes)
    guard let packet = IPPacket(frame) else { return (.malformed, []) }
    var seen: [String] = []
    let outcome = ListenerReport.read(frame, packet) { seen.append("\($1 ? "+" : "-")\($0)") }
    return (outcome, seen)
  }

  private func expect(_ bytes: [UInt8], _ seen: [String], _ line: Int = #line) {
    #expect(read(bytes) == (.read, seen), "line \(line)")
  }

  @Test func reportsOfAllVersionsAreRead() {
    let group = Packets.bytes(Reports.group)
    let group6 = Packets.bytes(Reports.group6)
    expect(Reports.igmp([0x12, 0, 0, 0] + group), ["+239.1.2.3"])
    expect(Reports.igmp([0x16, 0, 0, 0] + group, from: IPAddress(v4: 0)), ["+239.1.2.3"])
    expect(Reports.igmp([0x17, 0, 0, 0] + group), ["-239.1.2.3"])
    expect(Reports.mld([131, 0, 0, 0, 0, 0, 0, 0] + group6), ["+ff15::7741"])
    expect(Reports.mld([132, 0, 0, 0, 0, 0, 0, 0] + group6, from: .unspecified), ["-ff15::7741"])
    #expect(read(Reports.igmp([0x11, 10, 0, 0, 0, 0, 0, 0])).0 == .other, "a query")
    #expect(read(Reports.mld([130] + [UInt8](repeating: 0, count: 23))).0 == .other)
    #expect(read(Packets.v4([1, 2, 3])).0 == .other)
    #expect(read(Packets.v6([1, 2, 3])).0 == .other)
  }

  @Test func recordsSayWhoReceives() {
    let source = [Packets.a]
    let source6 = [Packets.a6]
    for type in UInt8(1)...5 {
      let (with, without) = type == 1 || type == 3 ? ("+", "-") : ("+", "+")
      expect(Reports.igmp3([.init(type: type, group: Reports.group)]), ["\(without)239.1.2.3"])
      expect(Reports.igmp3([.init(type: type, group: Reports.group, sources: source)]), ["\(with)239.1.2.3"])
      expect(Reports.mld2([.init(type: type, group: Reports.group6)]), ["\(without)ff15::7741"])
      let sourced6 = Reports.Record(type: type, group: Reports.group6, sources: source6)
      expect(Reports.mld2([sourced6]), ["\(with)ff15::7741"])
    }
    for type in [UInt8(0), 6, 7, 255] {
      expect(Reports.igmp3([.init(type: type, group: Reports.group, sources: source)]), [])
    }
    let several = [
      Reports.Record(type: 4, group: Reports.group, sources: source, words: 2),
      Reports.Record(type: 3, group: Reports.other),
    ]
    expect(Reports.igmp3(several), ["+239.1.2.3", "-232.9.9.9"])
    expect(Reports.igmp3([]), [])
  }

  private static let whole: [[UInt8]] = [
    Reports.igmp([0x16, 0, 0, 0] + Packets.bytes(Reports.group)),
    Reports.igmp3([
      .init(type: 4, group: Reports.group), .init(type: 3, group: Reports.other, sources: [Packets.a]),
    ]),
    Reports.mld([131, 0, 0, 0, 0, 0, 0, 0] + Packets.bytes(Reports.group6)),
    Reports.mld2([.init(type: 4, group: Reports.group6, sources: [Packets.a6], words: 1)]),
  ]

  @Test(arguments: whole) func cutReportsChangeNothing(_ report: [UInt8]) {
    for count in report.indices {
      var cut = Array(report[..<count])
      #expect(read(cut).1 == [], "\(count) bytes")
      // The lengths agree, and what they cover is cut.
      if cut.count > 40, cut[0] >> 4 == 6 { cut[5] = UInt8(count - 40) }
      if cut.count > 24, cut[0] >> 4 == 4 { cut[3] = UInt8(count) }
      #expect(read(cut).1 == [], "\(count) bytes")
    }
    #expect(read(report + [0]).1 == [])
  }

  @Test(arguments: whole) func turnedBitsChangeNothing(_ report: [UInt8]) {
    for bit in 0..<(8 * report.count) {
      var turned = report
      turned[bit / 8] ^= 1 << UInt8(bit % 8)
      // What no checksum covers: the traffic class, the flow label, the padding of the router alert.
      let isFree = report[0] >> 4 == 6 && (bit < 32 && !(4..<8).contains(bit) || (330..<384).contains(bit))
      if !isFree { #expect(read(turned).1 == [], "bit \(bit % 8) of byte \(bit / 8)") }
    }
  }

  @Test func countsThatLieAreRefused() {
    let record = Reports.Record(type: 4, group: Reports.group)
    for count in [UInt8(0), 2, 255] {
      #expect(read(Reports.igmp([0x22, 0, 0, 0, 0, 0, 0, count] + record.bytes)) == (.malformed, []))
      let many = read(Reports.igmp([0x22, 0, 0, 0, 0, 0, count, 1] + record.bytes)).1
      #expect(many == (count == 0 ? ["+239.1.2.3"] : []))
    }
    for place in [1, 2, 3] {
      var bytes = record.bytes
      bytes[place] = 200
      #expect(read(Reports.igmp([0x22, 0, 0, 0, 0, 0, 0, 1] + bytes)) == (.malformed, []))
    }
    let notOne = Reports.Record(type: 4, group: Packets.a)
    #expect(read(Reports.igmp3([record, notOne])) == (.malformed, []), "no group is taken of a bad report")
    #expect(read(Reports.mld2([.init(type: 4, group: Packets.a6)])) == (.malformed, []))
  }

  @Test func queriesAreWhatKernelsAccept() throws {
    let four = Scratch(capacity: ListenerQuery.bytesV4)
    let six = Scratch(capacity: ListenerQuery.bytesV6)
    ListenerQuery.writeV4(to: four.frame)
    ListenerQuery.writeV6(to: six.frame)
    let (query, query6) = (four.frame.bytes, six.frame.bytes)
    let packet = try #require(IPPacket(four.frame))
    let packet6 = try #require(IPPacket(six.frame))
    #expect(packet.destination == IPAddress("224.0.0.1") && packet.proto == 2 && query[8] == 1)
    #expect(packet6.source == IPAddress("fe80::1") && packet6.destination == IPAddress("ff02::1"))
    #expect(query6[7] == 1)
    #expect(Packets.sum(Array(query[..<24])) == 0xFFFF && Packets.sum(Array(query[24...])) == 0xFFFF)
    let pseudo = Array(query6[8..<40]) + [0, 0, 0, 28, 0, 0, 0, 58]
    #expect(Packets.sum(pseudo + Array(query6[48...])) == 0xFFFF)
    #expect(Array(query[20..<24]) == [0x94, 4, 0, 0] && query[24] == 0x11)
    #expect(Array(query[28..<32]) == [0, 0, 0, 0])
    #expect(Array(query6[40..<48]) == [58, 0, 5, 2, 0, 0, 1, 0] && query6[48] == 130)
    #expect(packet.isLinkLocalControl(four.frame) && packet6.isLinkLocalControl(six.frame))
  }

  @Test func scopesSayHowFarPacketsGo() {
    let scopes: [(GroupScope?, [String])] = [
      (nil, ["10.0.0.1", "255.255.255.255", "fd00::1"]), (.machine, ["ff01::1", "ff11::5", "ff00::1"]),
      (.everybody, ["224.0.0.251", "224.0.0.1", "239.255.255.250", "ff02::fb", "ff12::9", "ff05::c"]),
      (.receivers, ["224.0.1.1", "239.1.2.3", "232.0.0.1", "ff05::1:3", "ff15::7741", "ff0e::c", "ff08::1"]),
    ]
    for (scope, addresses) in scopes {
      for address in addresses { #expect(GroupScope(IPAddress(address)!) == scope, "\(address)") }
    }
  }

  @Test func localGroupsEndWhenTheyAreNotReported() {
    var groups = LocalGroups()
    let start = Instant.start + .seconds(5)
    groups.start(at: start)
    let queries = [0, 0, 124, 125].map { groups.takeQuery(at: start + .seconds($0)) }
    #expect(queries == [true, false, false, true])
    let news = [
      groups.note(Reports.group, isReceived: true, at: start),
      groups.note(Reports.other, isReceived: true, at: start),
      groups.note(Reports.group, isReceived: true, at: start + .seconds(126)),
    ]
    #expect(news == [true, true, false])
    let gone = groups.expire(at: start + .seconds(260))
    #expect(gone == [Reports.other])
    let isLeft = [groups.contains(Reports.group), groups.contains(Reports.other)]
    #expect(isLeft == [true, false])
    let leaves = [
      groups.note(Reports.group, isReceived: false, at: start + .seconds(261)),
      groups.note(Reports.group, isReceived: false, at: start + .seconds(261)),
    ]
    #expect(leaves == [true, false])
    for i in 0..<300 {
      let isNews = groups.note(IPAddress(v4: 0xEF00_0000 + UInt32(i)), isReceived: true, at: start)
      #expect(isNews == (i < LocalGroups.limit ? true : nil))
    }
  }
}
