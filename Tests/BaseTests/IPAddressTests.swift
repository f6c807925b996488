import Base
import Testing

@Suite struct IPAddressTests {
  @Test(arguments: [
    // RFC 5952 §4: leading zeros, the longest run, the first of equal runs, one zero group, lower case.
    ("2001:0db8::0001", "2001:db8::1"),
    ("2001:db8:0:0:0:0:2:1", "2001:db8::2:1"),
    ("2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"),
    ("2001:0:0:1:0:0:0:1", "2001:0:0:1::1"),
    ("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"),
    ("2001:DB8::A", "2001:db8::a"),
    ("0:0:0:0:0:0:0:0", "::"),
    ("0:0:0:0:0:0:0:1", "::1"),
    ("1:0:0:0:0:0:0:0", "1::"),
    ("fe80:0:0:0:0:0:0:1", "fe80::1"),
    ("1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"),
    ("::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"),
    ("64:ff9b::192.0.2.33", "64:ff9b::c000:221"),
    // One type for both families.
    ("::ffff:192.0.2.1", "192.0.2.1"),
    ("0.0.0.0", "0.0.0.0"),
    ("255.255.255.255", "255.255.255.255"),
    ("100.64.3.4", "100.64.3.4"),
  ])
  func textIsCanonical(_ text: String, _ canonical: String) throws {
    let address = try #require(IPAddress(text))
    #expect(address.description == canonical)
    #expect(IPAddress(canonical) == address)
  }

  @Test(arguments: [
    "", " ", ":", ":::", "1", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.", ".1.2.3", "1..2.3", "1.2.3.4 ",
    "-1.2.3.4",
    "+1.2.3.4", "0x1.2.3.4", "1.2.3.0004", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "::12345", "::g",
    ":1::",
    "1:2:3:4:5:6:7:", ":2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8::", "::1.2.3", "::1.2.3.4:5", "1.2.3.4::", "::+1",
    "fe80::1%eth0",
    "[::1]", "::1/64", "localhost",
  ])
  func badTextIsNoAddress(_ text: String) {
    #expect(IPAddress(text) == nil)
  }

  @Test(arguments: ["::-0", "::-1", "1:-0::2"]) func signIsNoHexadecimalDigit(_ text: String) {
    #expect(IPAddress(text) == nil)
  }

  @Test(arguments: [1, 2, 3]) func everyAddressSurvivesItsText(_ seed: UInt64) {
    var random = Random(seed: seed)
    for _ in 0..<2_000 {
      let address = random.address()
      #expect(IPAddress(address.description) == address, "seed \(seed): \(address)")
    }
  }

  @Test func v4IsMapped() {
    let address = IPAddress(v4: 0xC000_0201)
    #expect(address.isV4)
    #expect(address.v4 == 0xC000_0201)
    #expect(bytes(of: address) == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 192, 0, 2, 1])
  }

  @Test(arguments: [
    ("127.0.0.1", true), ("127.255.0.1", true), ("128.0.0.1", false), ("::1", true), ("::2", false),
    ("1::1", false),
  ])
  func loopback(_ text: String, _ expected: Bool) { #expect(IPAddress(text)?.isLoopback == expected) }

  @Test(arguments: [
    ("224.0.0.1", true), ("239.255.255.255", true), ("240.0.0.1", false), ("223.255.255.255", false),
    ("ff02::1", true),
    ("fe02::1", false),
  ])
  func multicast(_ text: String, _ expected: Bool) { #expect(IPAddress(text)?.isMulticast == expected) }

  @Test(arguments: [("0.0.0.0", true), ("::", true), ("0.0.0.1", false), ("::1", false), ("1::", false)])
  func unspecified(_ text: String, _ expected: Bool) { #expect(IPAddress(text)?.isUnspecified == expected) }

  @Test(arguments: [
    ("169.254.0.1", true), ("169.253.0.1", false), ("fe80::1", true), ("febf::1", true), ("fec0::1", false),
  ])
  func linkLocal(_ text: String, _ expected: Bool) { #expect(IPAddress(text)?.isLinkLocal == expected) }

  @Test(arguments: [
    ("10.1.2.3", true), ("11.0.0.0", false), ("172.16.0.1", true), ("172.31.255.255", true),
    ("172.32.0.0", false),
    ("192.168.255.1", true), ("192.169.0.0", false), ("100.64.0.0", true), ("100.127.255.255", true),
    ("100.128.0.0", false), ("fc00::1", true), ("fdff::1", true), ("fe00::1", false), ("2001:db8::1", false),
  ])
  func privateRange(_ text: String, _ expected: Bool) { #expect(IPAddress(text)?.isPrivate == expected) }

  @Test(arguments: [
    ("10.1.2.3", "10.255.0.1", true), ("172.16.0.1", "172.31.0.1", true), ("10.0.0.1", "172.16.0.1", false),
    ("fd00:1:2::1", "fd00:1:2:ffff::1", true), ("fd00:1:2::1", "fd00:1:3::1", false),
  ])
  func privateRangeIsTheSame(_ a: String, _ b: String, _ expected: Bool) {
    #expect((IPAddress(a)!.privateRange! == IPAddress(b)!.privateRange!) == expected)
  }

  @Test(arguments: [
    ("10.0.0.1", "10.0.0.255", true), ("10.0.0.1", "10.0.1.1", false),
    ("2001:db8:1::1", "2001:db8:1:ffff::2", true), ("2001:db8:1::1", "2001:db8:2::1", false),
    ("::1", "0.0.0.1", false),
  ])
  func networkIsWhatOneCustomerHas(_ a: String, _ b: String, _ expected: Bool) {
    #expect(IPAddress(a)!.isOneNetwork(with: IPAddress(b)!) == expected)
    #expect(IPAddress(b)!.isOneNetwork(with: IPAddress(a)!) == expected)
  }

  @Test func wireFormIsSixteenBytes() throws {
    let scratch = Scratch(capacity: 16)
    let address = try #require(IPAddress("2001:db8::7"))
    #expect(address.encode(into: scratch.frame) == 16)
    #expect(scratch.frame.bytes == bytes(of: address))
    #expect(try IPAddress(decoding: scratch.frame) == address)
    #expect(throws: WireError.truncated(offset: 8)) { try IPAddress(decoding: scratch.frame.prefix(15)) }
  }
}
