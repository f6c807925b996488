// Goal: what the node says about itself has the keys that other programs rely on, reads well, and contains no
// secret.

import Base
import Session
import Testing

@testable import Node
@testable import Overlay
@testable import VPN
@testable import p2pvpn

@Suite struct ReportTests {
  private static let identity = Identity(seed: Key(bytes: [UInt8](repeating: 3, count: 32))!)
  private static let community = Community.shared(name: "home", secret: [UInt8](101...132))
  private static let facts = Report.Facts(
    uptime: .seconds(200), interface: "p2pvpn0", port: 7741, encryption: "libsodium 1.0.18",
    deviceOffload: ["checksum", "tcp"], runs: (sent: true, received: false), refused: 0, dropped: 0,
    warnings: ["the secret is easy to guess"])

  private static func id(_ number: UInt64) -> OverlayID { OverlayID(high: number << 32, middle: 0, low: 1) }

  private static func peer(_ number: UInt64, _ path: PathKind) -> PeerSnapshot {
    PeerSnapshot(
      id: id(number), key: identity.publicKey, isMember: path != .idle, isSeed: path == .idle,
      name: path == .lan ? "laptop" : nil,
      address: path == .idle ? nil : IPAddress(v4: 0x6450_0000 + UInt32(number)), address6: nil, path: path,
      endpoint: path == .lan ? Endpoint(IPAddress(v4: 0xC000_0201), port: 7741) : nil,
      via: path == .overlay ? id(1) : nil, roundTrip: path == .idle ? nil : .microseconds(1_234),
      pingsSent: 8,
      pingsLost: 2, receivedBytes: 1_500, sentBytes: .max, obstacle: path == .overlay ? .unanswered : nil,
      retryIn: nil, roles: [])
  }

  private static let snapshot = Snapshot(
    id: identity.id, key: identity.publicKey, isSettled: true, isReady: true, sizeEstimate: 5,
    successor: id(1),
    predecessor: id(2), leases: 7,
    community: CommunitySnapshot(
      name: "home", isOpen: false, address: IPPrefix(IPAddress(v4: 0x6450_0009), length: 16),
      address6: community.ula(of: identity.id), pool: IPPrefix(IPAddress(v4: 0x6450_0000), length: 16),
      isAlone: false, size: 5, isSettled: true, neighbours: 4),
    reach: ReachSnapshot(
      mapping: .varies, seenAt: [Endpoint(IPAddress(v4: 0xCB00_7107), port: 7741)], udp: .open),
    peers: [peer(1, .lan), peer(2, .overlay), peer(3, .idle)], links: LinkCounters(), tunnel: TunnelCounters()
  )

  private static var seed: Snapshot {
    var seed = snapshot
    seed.community = nil
    seed.successor = nil
    seed.predecessor = nil
    seed.peers = []
    return seed
  }

  private static func keys(_ value: JSON) -> [String] {
    guard case .object(let members) = value else { return [] }
    return members.map(\.key)
  }

  @Test func statusHasTheKeysOfTheContract() {
    let status = Report.status(Self.snapshot, Self.facts)
    #expect(
      Self.keys(status) == [
        "schema", "id", "key", "version", "uptime_s", "ready", "port", "ring", "communities",
        "reach", "peers", "leases", "data", "warnings",
      ])
    #expect(Self.keys(status["ring"]) == ["size_estimate", "successor", "predecessor", "settled"])
    let communities = status["communities"].asArray
    #expect(
      communities.map(Self.keys) == [
        ["name", "open", "address", "address6", "pool", "interface", "members", "subring", "dropped"]
      ])
    #expect(communities.first?["members"] == 5)
    #expect(communities.first?["subring"] == ["settled": true, "neighbours": 4])
    #expect(status["reach"] == ["nat": "hard", "udp": "open", "seen_at": ["203.0.113.7:7741"]])
    #expect(status["schema"] == 1 && status["uptime_s"] == 200 && status["port"] == 7741)
    #expect(communities.first?["address"] == "100.80.0.9", "no prefix length")
    #expect(communities.first?["pool"] == "100.80.0.0/16")
    #expect(
      status["peers"] == ["lan": 1, "direct": 0, "tcp": 0, "proxy": 0, "overlay": 1, "idle": 1, "offline": 0])
  }

  private static func complaint(_ answer: JSON, _ fields: [Field]) -> String? {
    Shape.object([Field("schema", .integer(1...1), "")] + fields).complaint(about: answer, called: "answer")
  }

  @Test func answersHaveTheFormThatHelpShows() {
    for node in [Self.snapshot, Self.seed] {
      #expect(Self.complaint(Report.status(node, Self.facts), Answers.status) == nil)
      #expect(Self.complaint(Report.peers(node, Self.others), Answers.peers) == nil)
    }
    let looked = Self.looked
    let paths = Report.paths(Self.peer(4, .direct), looked.paths, looked.trials, .varies)
    #expect(Self.complaint(paths, Answers.pathsOfPeer) == nil)
  }

  @Test func peersComeInPages() {
    var (page, ids) = (Page(limit: 2, after: nil), [JSON]())
    for count in 1...3 {
      let answer = Report.peers(Self.snapshot, Self.others, page)
      ids += answer["peers"].asArray.map { $0["id"] }
      #expect((answer["next"] == nil) == (count == 3))
      page.after = answer["next"].asString.flatMap { OverlayID(digits: $0) }
    }
    #expect(ids == [1, 2, 3, 8, 9].map { JSON(Self.id($0)) })
  }

  @Test func whatWasDroppedIsCounted() {
    var (snapshot, tunnel) = (Self.snapshot, TunnelCounters())
    var (toAll, groups) = (BroadcastCounters(), MulticastCounters())
    (tunnel.foreignSource, tunnel.spoofed, tunnel.malformed, tunnel.unresolved) = (1, 2, 3, 4)
    (toAll.forged, toAll.limited, toAll.malformed, toAll.noRoom) = (10, 20, 30, 40)
    (groups.forged, groups.limited, groups.malformed, groups.noRoom) = (100, 200, 300, 400)
    (snapshot.tunnel, snapshot.broadcasts, snapshot.multicast) = (tunnel, toAll, groups)
    let dropped = Report.status(snapshot, Self.facts)["communities"].asArray.first?["dropped"]
    #expect(
      dropped == [
        "foreign_source": 1, "spoofed": 2, "forged": 110, "limited": 220, "congested": 0, "malformed": 333,
        "no_room": 440, "unresolved": 4,
      ])
  }

  @Test func whatIsNotThereIsNull() {
    var snapshot = Self.snapshot
    snapshot.community?.address = nil
    snapshot.community?.pool = nil
    let status = Report.status(snapshot, Self.facts)
    #expect(status["communities"].asArray.first?["address"] == .null)
    #expect(status["communities"].asArray.first?["pool"] == .null)
    let seed = Report.status(Self.seed, Self.facts)
    #expect(seed["communities"] == [] && seed["ring"]["successor"] == .null)
  }

  @Test func peersHaveTheKeysOfTheContract() throws {
    let answer = Report.peers(Self.snapshot)
    #expect(Self.keys(answer) == ["schema", "members", "whole", "peers", "next"])
    let peers = answer["peers"].asArray
    let keys = [
      "id", "name", "community", "address", "address6", "seed", "path", "via", "hops", "endpoint", "rtt_ms",
      "loss",
      "rx_bytes", "tx_bytes", "reason", "last_seen_s",
    ]
    try #require(peers.map(Self.keys) == [keys, keys, keys])
    #expect(peers.map { $0["path"] } == ["lan", "overlay", "idle"])
    #expect(peers.map { $0["community"] } == ["home", "home", nil])
    #expect(peers.map { $0["reason"] == nil } == [true, false, false])
    #expect(peers[0]["rtt_ms"] == .number(1.234) && peers[0]["loss"] == .number(0.25))
    #expect(peers[0]["hops"] == 1 && peers[0]["endpoint"] == "192.0.2.1:7741")
    #expect(peers[0]["tx_bytes"] == .integer(.max), "a count beyond JSON's integers stays at their end")
    #expect(peers[1]["via"] == JSON(Self.id(1)) && peers[2]["address"] == .null)
    #expect(peers.map { $0["name"] } == ["laptop", nil, nil])
    #expect(peers.allSatisfy { $0["last_seen_s"] == nil })
    let others = Report.peers(Self.snapshot, Self.others)["peers"].asArray[3...]
    #expect(others.map(Self.keys) == [keys, keys] && answer["whole"] == true && answer["members"] == 5)
    #expect(others.map { $0["path"] } == ["idle", "offline"])
    #expect(others.map { $0["last_seen_s"] } == [3, 400] && others.map { $0["name"] } == ["nas", nil])
    #expect(Report.peers(Self.seed)["members"] == nil)
  }

  /// Members without a link: one that has answered a roll call, and one that has not.
  private static let others = MembersSnapshot(
    members: [
      MemberSnapshot(
        id: id(8), name: "nas", address: IPAddress(v4: 0x6450_0008), address6: community.ula(of: id(8)),
        path: .idle, lastSeen: .seconds(3)),
      MemberSnapshot(
        id: id(9), name: nil, address: nil, address6: community.ula(of: id(9)), path: .offline,
        lastSeen: .seconds(400)),
    ])

  @Test func membersWithoutALinkReadWell() {
    let lines = Presentation.peers(Report.peers(Self.snapshot, Self.others))
    #expect(lines.count == 6)
    #expect(lines.contains { $0.hasPrefix("nas ") && $0.contains(" idle ") })
    #expect(lines.contains { $0.hasPrefix("- ") && $0.contains("offline, last seen 6 min ago") })
    var crowd = Self.snapshot
    crowd.community?.size = 5_000
    let met = Presentation.peers(Report.peers(crowd, MembersSnapshot(isWhole: false)))
    #expect(met.last == "some 5000 members; these are the ones met")
  }

  @Test(arguments: [
    (1, true, "this one alone"), (9, true, "9, all neighbours agree"), (9, false, "9, not settled"),
    (20, true, "some 20, all neighbours agree"),
  ]) func membersAreCounted(_ size: Int, _ isSettled: Bool, _ text: String) {
    var snapshot = Self.snapshot
    snapshot.community?.size = size
    snapshot.community?.isSettled = isSettled
    #expect(Presentation.status(Report.status(snapshot, Self.facts)).contains("members    \(text)"))
  }

  @Test func reportsAreJSON() throws {
    for report in [Report.status(Self.snapshot, Self.facts), Report.peers(Self.snapshot)] {
      #expect(try JSONParser.parse(Array(report.text.utf8)) == report)
    }
  }

  @Test func statusReadsWell() {
    let lines = Presentation.status(Report.status(Self.snapshot, Self.facts))
    #expect(lines.contains("version    \(Program.version), up for 3 min"))
    #expect(lines.contains("state      ready"))
    #expect(lines.contains("ring       about 5 nodes, between 0000000200 and 0000000100"))
    #expect(lines.contains("community  home (with a secret)"))
    #expect(lines.contains("address    100.80.0.9 of 100.80.0.0/16"))
    #expect(lines.contains("peers      1 lan, 1 overlay, 1 idle"))
    #expect(lines.last == "warnings   the secret is easy to guess")
    #expect(Presentation.status(Report.status(Self.seed, Self.facts)).contains("ring      alone"))
    #expect(!Presentation.status([:]).isEmpty, "an answer of another version is no reason to trap")
  }

  @Test func peersReadWell() {
    let lines = Presentation.peers(Report.peers(Self.snapshot))
    #expect(lines.count == 4 && lines[0].hasPrefix("NAME "))
    let header = lines[0].split(separator: " ").map(String.init)
    #expect(header == ["NAME", "ID", "COMMUNITY", "ADDRESS", "PATH", "RTT", "LOSS", "RECEIVED", "SENT"])
    #expect(lines.contains { $0.contains("overlay via laptop (none of its addresses has answered)") })
    #expect(lines.contains { $0.contains("(seed)") && $0.contains("idle") })
    #expect(lines.contains { $0.contains("1.2 ms") && $0.contains("25 %") && $0.contains("1.5 kB") })
    #expect(Set(lines.map(\.count)).count == 1, "the last column ends below its head")
    #expect(Presentation.peers(Report.peers(Self.seed)) == ["no peers"])
    #expect(Presentation.peers(["peers": [[:], nil]]).count == 3)
  }

  /// A peer whose endpoints came to all kinds of ends.
  private static var looked: (paths: [PathSnapshot], trials: [Trial]) {
    func endpoint(_ text: String) -> Endpoint { Endpoint(text)! }
    func trial(_ text: String, _ source: Trial.Source = .told, _ change: (inout Trial) -> Void) -> Trial {
      var trial = Trial(endpoint(text), source)
      change(&trial)
      return trial
    }
    let trials = [
      trial("[2001:db8::7]:7741") { $0.refusal = .family },
      trial("203.0.113.7:7741") { $0.asked = 10 },
      trial("203.0.113.7:31044", .heard) { $0.asked = 2 },
      trial("203.0.113.8:7741") { $0.fellSilent = true },
      trial("203.0.113.7:0", .manyPorts) { $0.asked = 1_400 },
      trial("192.0.2.9:7741") { _ in },
    ]
    let paths = [
      PathSnapshot(
        kind: .direct, endpoint: endpoint("203.0.113.7:31044"), isBest: true, isProved: true,
        roundTrip: .microseconds(21_300), size: 1_452),
      PathSnapshot(kind: .proxy, via: id(1), isBest: false, isProved: true, roundTrip: nil, size: 1_200),
    ]
    return (paths, trials)
  }

  @Test func outcomesOfCandidatesReadWell() {
    var peer = Self.peer(4, .direct)
    peer.mapping = .varies
    let answer = Report.paths(peer, Self.looked.paths, Self.looked.trials, .independent)
    #expect(answer["nat"] == "easy" && answer["peer_nat"] == "hard")
    let states = answer["candidates"].asArray.map { $0["state"].asString }
    #expect(states == ["not asked", "no answer", "chosen", "fell silent", "no answer", "not asked"])
    let keys = ["endpoint", "source", "asked", "state", "reason", "way", "rtt_ms"]
    #expect(answer["candidates"].asArray.allSatisfy { Self.keys($0) == keys })
    #expect(
      Presentation.ways(answer) == [
        "PATH    ENDPOINT            ASKED      RTT  OUTCOME",
        "-       [2001:db8::7]:7741      -        -  not asked: this machine has no IPv6 address",
        "-       203.0.113.7:7741       10        -  no answer",
        "direct  203.0.113.7:31044       2  21.3 ms  chosen, up to 1452 bytes",
        "-       203.0.113.8:7741        -        -  fell silent",
        "-       203.0.113.7:*        1400        -  no answer",
        "-       192.0.2.9:7741          -        -  not asked: a better path is there",
        "proxy   via 0000000100          -        -  works, up to 1200 bytes",
      ])
    #expect(Presentation.boxes(answer)[1].contains("the peer: hard NAT"))
    #expect(Presentation.ways([:]) == ["no way is known"])
  }

  @Test(arguments: [
    (0, "0 s"), (119, "119 s"), (120, "2 min"), (7_199, "119 min"), (7_200, "2 h 0 min"), (172_800, "2 days"),
  ]) func durationsReadWell(_ seconds: Int64, _ text: String) {
    #expect(Presentation.duration(seconds) == text)
  }

  @Test(arguments: [
    (0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (1_260_000, "1.3 MB"), (Int64.max, "9223372.0 TB"),
  ]) func sizesReadWell(_ bytes: Int64, _ text: String) { #expect(Presentation.bytes(bytes) == text) }

  /// A node with a secret, and everything that is ever said about it.
  @Test func noSecretIsEverSaid() {
    let secret = [UInt8](101...132)
    let core = NodeCore(
      NodeConfiguration(
        identity: Self.identity, incarnation: 1, tunnel: TunnelConfiguration(community: Self.community),
        isFounder: true, unixSeconds: 1_000_000, entropy: [UInt8](repeating: 9, count: 32)), at: .start)
    var said: [String] = []
    for snapshot in [core.snapshot(at: .start), Self.snapshot] {
      let reports = [Report.status(snapshot, Self.facts), Report.peers(snapshot)]
      said += reports.map(\.text) + Presentation.status(reports[0]) + Presentation.peers(reports[1])
      said.append(String(decoding: RemoteCall.response(1, .success(reports[0])), as: UTF8.self))
    }
    let keys = [
      secret, Self.identity.seed.bytes, Self.community.directoryKey.bytes, Self.community.knockKey.bytes,
      Self.community.sealKey.bytes,
    ]
    let all = said.joined(separator: "\n").lowercased()
    #expect(
      all.contains(Hex.string(Self.identity.publicKey.bytes)),
      "the public key is there, as hexadecimal digits")
    for key in keys {
      // Half of it would be too much; and whatever way a byte array or a key describes itself.
      #expect(
        !all.contains(Hex.string(Array(key.prefix(8)))) && !all.contains(Hex.string(Array(key.suffix(8)))))
      #expect(!all.contains("\(key[0]), \(key[1]), \(key[2])"))
    }
    #expect(!all.contains(String(decoding: secret, as: UTF8.self).lowercased()))
  }
}
