// Goal: a peer can make us probe nothing but places where a peer may be (PROTOCOL.md, "Paths").
// Method: one table a rule.

import Base
import Testing

@testable import Overlay

@Suite struct EndpointFilterTests {
  private var underlay: Underlay {
    var underlay = Underlay()
    underlay.interfaces = [IPPrefix("192.168.7.20/24")!, IPPrefix("2001:db8:1::20/64")!]
    underlay.virtualNetworks = [IPPrefix("100.83.0.0/16")!, IPPrefix("fd12:3456:789a::/48")!]
    underlay.port = 7_741
    return underlay
  }

  private func mayProbe(_ text: String) -> Bool { underlay.mayProbe(Endpoint(text)!) }

  @Test(arguments: [
    "8.8.8.8:7741", "8.8.8.8:443", "8.8.8.8:1024", "8.8.8.8:65535", "192.168.7.21:7741",
    "[2001:db8:2::1]:7741", "[2001:db8:1::21]:7741", "192.168.7.20:7742", "172.15.0.1:7741",
    "172.32.0.1:7741",
    "100.63.0.1:7741", "100.128.0.1:7741",
  ])
  func allowed(_ text: String) { #expect(mayProbe(text)) }

  @Test(arguments: [
    // No endpoint of a node: ports of services, and places that are no single machine.
    "8.8.8.8:0", "8.8.8.8:53", "8.8.8.8:1023", "0.0.0.0:7741", "[::]:7741", "127.0.0.1:7741",
    "127.255.255.254:7741", "[::1]:7741", "224.0.0.1:7741", "239.255.255.255:7741", "[ff02::1]:7741",
    "255.255.255.255:7741", "192.168.7.255:7741", "169.254.1.1:7741", "[fe80::1]:7741",
    // Our own virtual networks, and ourselves.
    "100.83.1.2:7741", "[fd12:3456:789a::1]:7741", "192.168.7.20:7741",
    // Private networks that are not ours.
    "10.0.0.1:7741", "172.16.0.1:7741", "172.31.255.1:7741", "192.168.8.1:7741", "100.64.0.1:7741",
    "[fd00::1]:7741", "[fc00::1]:7741",
  ])
  func refused(_ text: String) { #expect(!mayProbe(text)) }

  @Test func withoutAnAddressOfTheFamilyNobodyIsAsked() {
    var underlay = underlay
    let (v4, v6) = (Endpoint("8.8.8.8:7741")!, Endpoint("[2001:db8:2::1]:7741")!)
    #expect(underlay.refusal(of: v4) == nil && underlay.refusal(of: v6) == nil)
    underlay.interfaces = [IPPrefix("192.168.7.20/24")!, IPPrefix("fe80::1/64")!, IPPrefix("::1/128")!]
    #expect(underlay.refusal(of: v4) == nil && underlay.refusal(of: v6) == .family)
    underlay.interfaces = [IPPrefix("2001:db8:1::20/64")!, IPPrefix("127.0.0.1/8")!]
    #expect(underlay.refusal(of: v4) == .family && underlay.refusal(of: v6) == nil)
    underlay.interfaces = []
    #expect(underlay.mayProbe(v4) && underlay.mayProbe(v6), "nothing is known yet")
  }

  @Test func privateAddressBehindOurOwnNATIsAllowed() {
    var underlay = underlay
    let peer = Endpoint("100.64.9.9:40000")!
    #expect(!underlay.mayProbe(peer))
    let isNew = underlay.observe(Endpoint("100.64.9.9:50000")!, by: Endpoint("100.64.8.8:7741")!)
    #expect(isNew && underlay.mayProbe(peer), "one behind the same carrier")
    #expect(told(underlay).contains("100.64.9.9:50000"))
    _ = underlay.observe(Endpoint("5.5.5.5:50000")!, by: observer(2))
    #expect(!underlay.mayProbe(peer), "one of two")
    _ = underlay.observe(Endpoint("100.64.9.9:50000")!, by: Endpoint("8.8.4.4:7741")!)
    #expect(underlay.mayProbe(peer), "two of three")
  }

  /// A seed says that we are where it wants somebody knocked at.
  @Test(arguments: [
    ("10.1.2.3:50000", "9.9.9.9:7741"), ("10.1.2.3:50000", "192.168.7.9:7741"),
    ("100.64.1.1:50000", "100.128.0.1:7741"), ("[fd00:1:2::3]:50000", "[2001:db8:9::9]:7741"),
    ("[fd00:1:2::3]:50000", "[fd00:1:3::9]:7741"),
  ]) func oneHostileSeedDoesNotSendUsIntoOurOwnNetwork(_ word: String, _ seed: String) {
    var underlay = underlay
    let (word, seed) = (Endpoint(word)!, Endpoint(seed)!)
    let target = Endpoint(word.address, port: 8_080)
    let before = told(underlay)
    for port in [seed.port, 7_742, 7_743] {
      _ = underlay.observe(word, by: Endpoint(seed.address, port: port))
      #expect(!underlay.mayProbe(target) && told(underlay) == before)
    }
    // Another address of the same owner.
    let beside = IPAddress(high: seed.address.high, low: seed.address.low ^ 1)
    _ = underlay.observe(word, by: Endpoint(beside, port: 7_741))
    #expect(!underlay.mayProbe(target) && told(underlay) == before)
    #expect(underlay.principal != word)
    let stranger = Endpoint(seed.address.isV4 ? "8.8.4.4:7741" : "[2600::1]:7741")!
    _ = underlay.observe(word, by: stranger)
    #expect(underlay.mayProbe(target), "two networks agree")
  }

  /// Endpoints of both families, or of several networks, are one peer's all the same.
  @Test func onePeerHasOneVote() {
    var underlay = underlay
    let (id, word) = (Fixed.identities[3].publicKey.id, Endpoint("10.1.2.3:50000")!)
    for text in ["9.9.9.9:7741", "8.8.8.8:7741", "[2600::1]:7741", "[2601::1]:7741"] {
      _ = underlay.observe(word, by: Endpoint(text)!, of: id)
    }
    #expect(!underlay.mayProbe(Endpoint("10.1.2.3:8080")!))
    _ = underlay.observe(word, by: Endpoint("[2600::1]:7741")!, of: Fixed.identities[2].publicKey.id)
    #expect(!underlay.mayProbe(Endpoint("10.1.2.3:8080")!), "nobody sees IPv4 over IPv6")
  }

  /// Peers at different addresses.
  private func observer(_ number: UInt32) -> Endpoint {
    Endpoint(IPAddress(v4: 0x0909_0900 + number), port: 7_741)
  }

  @Test func oneAddressWithManyPortsIsOneObserver() {
    var underlay = underlay
    _ = underlay.observe(Endpoint("5.5.5.5:50000")!, by: observer(1))
    for port in 1..<UInt16(6) {
      _ = underlay.observe(Endpoint("10.1.2.3:50000")!, by: Endpoint(observer(2).address, port: port))
    }
    #expect(!underlay.mayProbe(Endpoint("10.1.2.3:40000")!))
  }

  @Test func onlyUsefulObservationsAreKept() {
    var underlay = underlay
    for text in ["0.0.0.0:1", "127.0.0.1:5000", "224.0.0.1:5000", "5.5.5.5:0", "192.168.7.20:7741"] {
      let isNew = underlay.observe(Endpoint(text)!, by: observer(0))
      #expect(!isNew, "\(text)")
    }
    #expect(underlay.reflection.sightings.isEmpty && underlay.mapping == .unknown)
    for n in 0..<UInt32(20) { _ = underlay.observe(Endpoint("5.5.5.5:5000")!, by: observer(n)) }
    #expect(underlay.reflection.sightings.count == Reflection.sightingsMax)
    let again = underlay.observe(Endpoint("5.5.5.5:5000")!, by: observer(19))
    #expect(!again)
  }

  @Test func candidatesAreInterfacesFirstAndBounded() {
    var underlay = underlay
    underlay.interfaces.append(IPPrefix("127.0.0.1/8")!)
    underlay.interfaces.append(IPPrefix("fe80::1/64")!)
    underlay.interfaces.append(IPPrefix("100.83.0.9/16")!)
    _ = underlay.observe(Endpoint("5.5.5.5:5000")!, by: observer(1))
    #expect(told(underlay) == ["[2001:db8:1::20]:7741", "5.5.5.5:5000", "192.168.7.20:7741"])
    underlay.advertised.append(Endpoint("6.6.6.6:0")!)
    underlay.advertised.append(Endpoint("[2001:db8:6::6]:443")!)
    #expect(told(underlay).prefix(3) == ["6.6.6.6:7741", "[2001:db8:6::6]:443", "[2001:db8:1::20]:7741"])
    #expect(underlay.principal == Endpoint("6.6.6.6:7741")!)
    for n in 0..<UInt32(20) {
      underlay.interfaces.append(IPPrefix(IPAddress(v4: 0x0A00_0001 + n), length: 8))
    }
    for n in 0..<UInt64(20) {
      underlay.interfaces.append(IPPrefix(IPAddress(high: 0x2001_0DB8_0000_0007, low: n), length: 64))
    }
    let list = told(underlay)
    #expect(list.count == 8 && Set(list).count == 8)
    #expect(list.contains("5.5.5.5:5000") && list.contains("192.168.7.20:7741"), "no kind crowds out others")
    #expect(list.contains("[2001:db8:1::20]:7741"))
  }

  private func told(_ underlay: Underlay) -> [String] {
    let list = underlay.candidates
    return (0..<list.count).map { list[$0].description }
  }

  // MARK: - What the box does

  /// What the mapping is taken for when observers see these endpoints.
  private func mapping(_ seen: String...) -> Mapping {
    var underlay = underlay
    for (n, text) in seen.enumerated() { _ = underlay.observe(Endpoint(text)!, by: observer(UInt32(n))) }
    return underlay.mapping
  }

  @Test func mappingIsInferredFromWhatObserversSee() {
    #expect(mapping() == .unknown)
    #expect(mapping("5.5.5.5:5000", "5.5.5.5:5000") == .independent)
    #expect(mapping("5.5.5.5:5000", "5.5.5.5:5001") == .varies)
    #expect(mapping("5.5.5.5:5000", "5.5.5.5:5000", "5.5.5.5:9") == .varies)
    #expect(mapping("5.5.5.5:7741") == .independent, "a lone observer sees the port kept")
    #expect(mapping("5.5.5.5:5000") == .varies, "a lone observer sees another port")
    #expect(mapping("192.168.7.20:7741", "192.168.7.20:7741") == .unknown, "observers in the own network")
    #expect(mapping("100.64.1.1:50", "5.5.5.5:5000", "5.5.5.5:5000") == .independent, "behind a carrier")
    #expect(mapping("[2001:db8:1::20]:7741") == .unknown)
    var open = underlay
    open.interfaces = [IPPrefix("5.5.5.5/24")!]
    _ = open.observe(Endpoint("5.5.5.5:7741")!, by: observer(1))
    #expect(open.mapping == .open && open.candidates.count == 1)
  }

  @Test func boxThatBeginsAnewIsNewsWhenASecondPeerSaysSo() {
    var underlay = underlay
    for n in 0..<UInt32(4) { _ = underlay.observe(Endpoint("5.5.5.5:5000")!, by: observer(n)) }
    for port in [UInt16(6_000), 5_000, 6_001, 5_000, 6_000] {
      let isNews = underlay.observe(Endpoint(Endpoint("5.5.5.5:1")!.address, port: port), by: observer(1))
      #expect(!isNews && underlay.reflection.disputed?.seen == Endpoint("5.5.5.5:5000")!)
      #expect(underlay.mapping == .independent && underlay.reflexiveV4 == Endpoint("5.5.5.5:5000")!)
    }
    let isNews = underlay.observe(Endpoint("5.5.5.5:6000")!, by: observer(2))
    #expect(isNews && underlay.reflection.sightings.count == 2)
    #expect(underlay.mapping == .independent && underlay.reflexiveV4 == Endpoint("5.5.5.5:6000")!)
    let moved = underlay.observe(Endpoint("5.5.5.9:6000")!, by: observer(2))
    #expect(moved)
  }

  @Test func whereEachPeerSeesAnotherPortOnlyAnAddressIsNews() {
    var underlay = underlay
    var news = 0
    for n in 0..<UInt32(8) {
      let seen = Endpoint(Endpoint("5.5.5.5:1")!.address, port: 5_000 + UInt16(n))
      if underlay.observe(seen, by: observer(n)) { news += 1 }
    }
    #expect(news == 1 && underlay.mapping == .varies)
    #expect(told(underlay).filter { $0.hasPrefix("5.5.5.5") }.count == 1)
  }

  @Test func whatMostObserversSeeComesFirst() {
    var underlay = underlay
    for (n, text) in ["7.7.7.7:1", "5.5.5.5:2", "6.6.6.6:3", "5.5.5.5:2", "8.8.8.8:4"].enumerated() {
      _ = underlay.observe(Endpoint(text)!, by: observer(UInt32(n)))
    }
    #expect(told(underlay).filter { !$0.hasPrefix("192") && !$0.hasPrefix("[") } == ["5.5.5.5:2"])
  }
}
