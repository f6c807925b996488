import Base
import Testing

@Suite struct IPPrefixTests {
  @Test(arguments: [
    ("10.0.0.0/8", "10.255.255.255", true), ("10.0.0.0/8", "11.0.0.0", false),
    ("10.1.2.3/32", "10.1.2.3", true),
    ("10.1.2.3/32", "10.1.2.2", false), ("0.0.0.0/0", "203.0.113.9", true),
    ("0.0.0.0/0", "2001:db8::1", false),
    ("::/0", "2001:db8::1", true), ("::/0", "1.2.3.4", false), ("2001:db8::/32", "2001:db8:ffff::1", true),
    ("2001:db8::/32", "2001:db9::", false), ("fd00:1:2:3::/64", "fd00:1:2:3:ffff::1", true),
    ("fd00:1:2:3::/64", "fd00:1:2:4::", false), ("fd00::8000/113", "fd00::ffff", true),
    ("fd00::8000/113", "fd00::7fff", false), ("fd00::1/128", "fd00::1", true),
    ("fd00::1/128", "fd00::", false),
  ])
  func containsWhatSharesItsBits(_ prefix: String, _ address: String, _ expected: Bool) throws {
    let prefix = try #require(IPPrefix(prefix))
    let address = try #require(IPAddress(address))
    #expect(prefix.contains(address) == expected)
  }

  @Test(arguments: [1, 2, 3]) func agreesWithAModelOfBits(_ seed: UInt64) {
    var random = Random(seed: seed)
    func bits(_ address: IPAddress) -> [UInt8] {
      bytes(of: address).flatMap { b in (0..<8).map { b >> (7 - $0) & 1 } }
    }
    for _ in 0..<500 {
      let address = random.address()
      let length = Int(random.below(address.isV4 ? 33 : 129))
      let first = address.isV4 ? 96 : 0
      let prefix = IPPrefix(address, length: UInt8(length))
      let expected = bits(address).enumerated().map { $0.offset < first + length ? $0.element : 0 }
      #expect(bits(prefix.network.address) == expected, "seed \(seed): \(prefix)")
      // An address that differs in one bit is inside exactly when the bit is behind the prefix.
      let flip = UInt64(first) + random.below(UInt64(128 - first))
      var other = address
      if flip < 64 { other.high ^= 1 << (63 - flip) } else { other.low ^= 1 << (127 - flip) }
      if other.isV4 == address.isV4 {
        #expect(
          prefix.contains(other) == (flip >= UInt64(first + length)), "seed \(seed): \(prefix) \(other)")
      }
    }
  }

  @Test(arguments: [
    ("10.1.2.3/8", "10.255.255.255", 1 << 24), ("192.168.1.77/24", "192.168.1.255", 256),
    ("192.168.1.77/30", "192.168.1.79", 4), ("192.168.1.77/32", "192.168.1.77", 1),
    ("1.2.3.4/0", "255.255.255.255", 1 << 32),
  ])
  func broadcastIsTheLastOfItsAddresses(_ prefix: String, _ last: String, _ size: UInt64) throws {
    let prefix = try #require(IPPrefix(prefix))
    #expect(prefix.broadcast == IPAddress(last))
    #expect(prefix.size == size)
  }

  @Test(arguments: ["100.80.0.0/12", "0.0.0.0/0", "1.2.3.4/32", "fd00::/8", "::/0", "::1/128"])
  func textIsReadBack(_ text: String) { #expect(IPPrefix(text)?.description == text) }

  @Test(arguments: [
    "", "/", "/8", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8/8", "10.0.0.0/ 8",
    "::/129",
    "::/256", "10.0.0/8", "::ffff:10.0.0.0/104",
  ])
  func badTextIsNoPrefix(_ text: String) { #expect(IPPrefix(text) == nil) }
}
