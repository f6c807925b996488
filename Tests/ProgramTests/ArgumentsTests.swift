// Goal: what people type is understood or refused, never taken for something else.

import ArgumentParser
import Base
import Overlay
import Session
import Testing
import VPN

@testable import p2pvpn

@Suite struct ArgumentsTests {
  private static let key = Identity(seed: Key(bytes: [UInt8](repeating: 7, count: 32))!).publicKey

  @Test(arguments: [
    ("seed.example.org", "seed.example.org", 7741), ("seed.example.org:80", "seed.example.org", 80),
    ("a:1", "a", 1), ("a:65535", "a", 65_535), ("192.0.2.1", "192.0.2.1", 7741),
    ("192.0.2.1:9", "192.0.2.1", 9),
    ("2001:db8::1", "2001:db8::1", 7741), ("[2001:db8::1]", "2001:db8::1", 7741), ("[::1]:9", "::1", 9),
    ("bücher.example", "bücher.example", 7741),
  ]) func bootstrapsAreUnderstood(_ text: String, _ host: String, _ port: UInt16) throws {
    #expect(try Arguments.bootstrap(text) == Bootstrap(host: host, port: port, key: nil))
    let named = try Arguments.bootstrap("\(Self.key)@\(text)")
    #expect(named == Bootstrap(host: host, port: port, key: Self.key))
  }

  @Test(arguments: [
    "", ":", ":5", "a:", "a:0", "a:65536", "a:-1", "a:+1", "a: 1", "a:b", "a b", "a:b:1", "::1:x", "[::1",
    "[::1]x",
    "[::1]:", "[::1]:0", "[a]:1", "[]:1", "@a", "a@b", "00@a", "a\n",
  ]) func whatIsNoBootstrapIsRefused(_ text: String) {
    #expect(throws: ValidationError.self) { try Arguments.bootstrap(text) }
  }

  @Test func longHostsAndOddKeysAreRefused() {
    #expect(throws: Never.self) { try Arguments.bootstrap(String(repeating: "a", count: 253)) }
    #expect(throws: ValidationError.self) { try Arguments.bootstrap(String(repeating: "a", count: 254)) }
    for key in ["\(Self.key)0", String("\(Self.key)".dropLast()), String("\(Self.key)".dropLast()) + "g"] {
      #expect(throws: ValidationError.self) { try Arguments.bootstrap(key + "@a") }
    }
  }

  @Test(arguments: [
    ("192.0.2.1", "192.0.2.1", 0), ("192.0.2.1:5000", "192.0.2.1", 5_000), ("10.0.0.1:443", "10.0.0.1", 443),
    ("2001:db8::1", "2001:db8::1", 0), ("[2001:db8::1]", "2001:db8::1", 0),
    ("[2001:db8::1]:5000", "2001:db8::1", 5_000),
  ]) func advertisedPlacesAreUnderstood(_ text: String, _ address: String, _ port: UInt16) throws {
    #expect(try Arguments.advertised(text) == Endpoint(try #require(IPAddress(address)), port: port))
  }

  @Test(arguments: [
    "", ":5000", "host", "host:5000", "192.0.2.1:0", "192.0.2.1:80", "192.0.2.1:65536", "192.0.2.1:",
    "127.0.0.1", "[::1]:5000", "0.0.0.0", "::", "224.0.0.1", "ff02::1", "169.254.1.1", "fe80::1", "1.2.3",
  ]) func whatNobodyCanReachIsNotAdvertised(_ text: String) {
    #expect(throws: ValidationError.self) { try Arguments.advertised(text) }
  }

  @Test(arguments: [
    (":0", "::", 0), (":7741", "::", 7741), ("192.0.2.1:5", "192.0.2.1", 5), ("[::1]:5", "::1", 5),
    ("[::]:5", "::", 5), ("0.0.0.0:5", "0.0.0.0", 5),
  ]) func listeningPlacesAreUnderstood(_ text: String, _ address: String, _ port: UInt16) throws {
    #expect(try Arguments.listen(text) == Endpoint(try #require(IPAddress(address)), port: port))
  }

  @Test(arguments: [
    "", ":", "7741", "192.0.2.1", "::1", "::1:5", "[::1]", "[::1:5", ":65536", ":-1", ": 5", ":5 ", "host:5",
    "[]:5",
    "[host]:5", "1.2.3:5",
  ]) func whatIsNoListeningPlaceIsRefused(_ text: String) {
    #expect(throws: ValidationError.self) { try Arguments.listen(text) }
  }

  @Test(arguments: [
    ("off", 0), ("8bit", 1), ("500kbit", 62_500), ("2mbit", 250_000), ("2MBIT", 250_000),
    ("1.5mbit", 187_500),
    ("1gbit", 125_000_000), ("1000gbit", 125_000_000_000),
  ]) func relayRatesAreUnderstood(_ text: String, _ bytes: UInt64) throws {
    #expect(try Arguments.relay(text) == bytes)
  }

  @Test(arguments: [
    "", "on", "OFF", "0", "2", "mbit", ".mbit", "-1mbit", "+1mbit", "7bit", "0mbit", "1e3mbit", "nanmbit",
    "infmbit",
    "2mbit ", " 2mbit", "2 mbit", "1..5mbit", "1001gbit", "2mb", "0x2mbit", "2tbit",
  ]) func whatIsNoRateIsRefused(_ text: String) {
    #expect(throws: ValidationError.self) { try Arguments.relay(text) }
  }

  @Test(arguments: [
    ("1KB", 1_000), ("500MB", 500_000_000), ("10GB", 10_000_000_000), ("1.5tb", 1_500_000_000_000),
  ]) func sizesAreUnderstood(_ text: String, _ bytes: UInt64) throws {
    #expect(try Arguments.size(text) == bytes)
  }

  @Test(arguments: ["", "10", "GB", "-1GB", "0MB", "10 GB", "1e3GB", "nanGB", "10GiB", "2000TB", "10gbit"])
  func whatIsNoSizeIsRefused(_ text: String) {
    #expect(throws: ValidationError.self) { try Arguments.size(text) }
  }

  @Test func ownersLimitsReachTheNode() throws {
    let words = ["join", "--relay-for", "members", "--relay-monthly", "10GB"]
    let join = try #require(try Program.parseAsRoot(words) as? JoinCommand)
    let terms = join.node.options.relay
    #expect(terms.isForMembersOnly && terms.monthlyBytes == 10_000_000_000)
    #expect(terms.favoursMembers && terms.bytesPerSecond == RelayTerms.rateDefault)
    let named = try #require(try Program.parseAsRoot(["seed", "--relay", "1mbit"]) as? SeedCommand)
    #expect(!named.node.options.relay.favoursMembers && named.node.options.relay.monthlyBytes == nil)
    #expect(!named.node.options.relay.isForMembersOnly)
  }

  @Test(arguments: ["10.0.0.0/8", "10.77.0.0/16", "100.80.0.0/12", "192.168.1.0/24", "192.168.1.8/29"])
  func poolsAreUnderstood(_ text: String) throws { #expect(try Arguments.pool(text).description == text) }

  @Test(arguments: [
    "", "10.77.0.0", "10.77.0.0/", "10.77.0.0/x", "10.77.0.0/33", "10.77.0.0/-1", "10.77.0.1/16",
    "10.0.0.0/7",
    "10.0.0.0/30", "10.77.0/16", "fd00::/48", "127.0.0.0/8", "224.0.0.0/8", "0.0.0.0/8", "10.77.0.0/16/16",
    "010.77.0.0/16", "10.77.0.0/016x",
  ]) func whatIsNoPoolIsRefused(_ text: String) {
    #expect(throws: ValidationError.self) { try Arguments.pool(text) }
  }

  @Test func addressesAreUnderstood() throws {
    #expect(try Arguments.address("auto") == nil)
    #expect(try Arguments.address("10.77.0.1/16")?.description == "10.77.0.1/16")
    for text in ["", "Auto", "10.77.0.1", "10.77.0.0/16", "10.77.255.255/16", "300.1.1.1/16", "fd00::1/64"] {
      #expect(throws: ValidationError.self, "\(text)") { try Arguments.address(text) }
    }
  }

  @Test func communitiesHaveNames() throws {
    let names = [
      "home", "a", "Heim & Hof", String(repeating: "a", count: 63), String(repeating: "é", count: 31),
    ]
    for name in names { #expect(try Arguments.community(name) == name) }
    for name in ["", " a", "a ", "a\nb", "a\u{0}", "a\u{7F}", String(repeating: "é", count: 32)] {
      #expect(throws: ValidationError.self) { try Arguments.community(name) }
    }
  }

  @Test(arguments: ["", "a b", "-a", "my_host", "laptop.local", "naïve"])
  func membersHaveNamesThatCanBePrinted(_ name: String) {
    #expect(throws: ValidationError.self) { try Arguments.name(name) }
  }

  @Test func interfacesHaveNamesThatTheKernelTakes() throws {
    for name in ["p2pvpn0", "a", "a.b-c_d", "p2pvpn123456789"] {
      #expect(try Arguments.interface(name) == name)
    }
    for name in ["", ".", "..", "a/b", "a:b", "a b", "é", "p2pvpn1234567890", "a%\n"] {
      #expect(throws: ValidationError.self) { try Arguments.interface(name) }
    }
  }

  @Test func peersAreAddressesOrBeginningsOfIDs() throws {
    let id = String(repeating: "aB", count: 20)
    for text in ["100.80.0.1", "fd00::1", "abcd", id] { #expect(try Arguments.peer(text) == text) }
    for text in ["", "abc", "xyzw", id + "a", "abcd ", "-abcd"] {
      #expect(throws: ValidationError.self) { try Arguments.peer(text) }
    }
  }

  @Test(arguments: [
    ["join", "home", "--bogus"], ["join", "a", "b"], ["join", "home", "--secret", "s"],
    ["seed", "--relay", "fast"], ["seed", "--no-multicast"], ["join", "--no-broadcast=no"],
    ["join", "--pool", "10.0.0.0/8", "--address", "10.77.0.1/16"], ["join", "--secret-file", "f"],
    ["nonsense"],
    ["ping"], ["ping", "100.80.0.1", "--count", "0"], ["ping", "100.80.0.1", "--interval", "nan"],
    ["ping", "100.80.0.1", "--timeout", "31"], ["status", "--check", "perhaps"],
    ["path", "100.80.0.1", "sideways"],
    ["join", "--log-level", "loud"],
  ]) func whatCannotBeDoneIsNotParsed(_ words: [String]) {
    #expect { try Program.parseAsRoot(words) } throws: { Program.exitCode(for: $0) != .success }
  }

  @Test func optionsReachTheNode() throws {
    let words = [
      "join", "home", "--bootstrap", "a", "--bootstrap", "[::1]:9", "--listen", ":0", "--relay", "off",
      "--state", "d",
      "--address", "10.77.0.1/16", "--pool", "10.77.0.0/16", "--interface", "x0", "--name", "laptop-2",
    ]
    let join = try #require(try Program.parseAsRoot(words) as? JoinCommand)
    #expect(join.name == MemberName("laptop-2"))
    #expect(join.community == "home" && join.interface == "x0" && join.secretFile == nil)
    #expect(!join.noBroadcast && !join.noMulticast)
    #expect(join.address.prefix?.description == "10.77.0.1/16" && join.pool?.description == "10.77.0.0/16")
    let options = join.node.options
    #expect(options.bootstraps.map(\.host) == ["a", "::1"] && options.bootstraps.map(\.port) == [7741, 9])
    #expect(options.listen?.port == 0 && options.relay.bytesPerSecond == 0 && options.state == "d")
    let alone = ["join", "--no-broadcast", "--no-multicast"]
    let quiet = try #require(try Program.parseAsRoot(alone) as? JoinCommand)
    #expect(quiet.noBroadcast && quiet.noMulticast)
    let seed = try #require(try Program.parseAsRoot(["seed"]) as? SeedCommand)
    #expect(seed.node.options.relay.bytesPerSecond == 250_000 && seed.node.options.listen == nil)
  }
}
