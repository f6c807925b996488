import Base
import Testing

@Suite struct EndpointTests {
  @Test(arguments: ["192.0.2.1:7741", "[2001:db8::1]:7741", "[::]:0", "0.0.0.0:65535"])
  func textIsReadBack(_ text: String) { #expect(Endpoint(text)?.description == text) }

  @Test(arguments: [
    "", ":", ":7741", "192.0.2.1", "192.0.2.1:", "192.0.2.1:65536", "192.0.2.1:-1", "2001:db8::1:7741",
    "[2001:db8::1]",
    "[2001:db8::1:7741", "[]:1", "host:7741",
  ])
  func badTextIsNoEndpoint(_ text: String) { #expect(Endpoint(text) == nil) }

  @Test func wireFormIsEighteenBytes() throws {
    let scratch = Scratch(capacity: 20)
    let endpoint = try #require(Endpoint("[2001:db8::1]:7741"))
    #expect(endpoint.encode(into: scratch.frame) == 18)
    #expect(try Endpoint(decoding: scratch.frame.prefix(18)) == endpoint)
    #expect(throws: WireError.trailing(offset: 18)) { try Endpoint(decoding: scratch.frame) }
  }
}
