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

  @Test func privateAddressBehindOurOwnNATIsAllowed() {
    var underlay = underlay
    let peer = Endpoint("100.64.9.9:40000")!
    #expect(!underlay.mayProbe(peer))
    let isNew = underlay.observe(Endpoint("100.64.9.9:50000")!)
    #expect(isNew && underlay.mayProbe(peer))
  }

  @Test func onlyUsefulObservationsAreKept() {
    var underlay = underlay
    for text in ["0.0.0.0:1", "127.0.0.1:5000", "224.0.0.1:5000", "5.5.5.5:0", "192.168.7.20:7741"] {
      let isNew = underlay.observe(Endpoint(text)!)
      #expect(!isNew, "\(text)")
    }
    for n in 0..<6 {
      let isNew = underlay.observe(Endpoint(IPAddress(v4: 0x0505_0500 + UInt32(n)), port: 5_000))
      #expect(isNew)
    }
    let again = underlay.observe(Endpoint("5.5.5.5:5000")!)
    #expect(!again)
    #expect(underlay.observed.count == 4 && underlay.observed[0] == Endpoint("5.5.5.5:5000")!)
  }

  @Test func candidatesAreInterfacesFirstAndBounded() {
    var underlay = underlay
    underlay.interfaces.append(IPPrefix("127.0.0.1/8")!)
    underlay.interfaces.append(IPPrefix("fe80::1/64")!)
    underlay.interfaces.append(IPPrefix("100.83.0.9/16")!)
    _ = underlay.observe(Endpoint("5.5.5.5:5000")!)
    let list = underlay.candidates
    #expect(
      (0..<list.count).map { list[$0].description } == [
        "192.168.7.20:7741", "[2001:db8:1::20]:7741", "5.5.5.5:5000",
      ])
    for n in 0..<UInt32(20) {
      underlay.interfaces.append(IPPrefix(IPAddress(v4: 0x0A00_0001 + n), length: 8))
    }
    for n in 0..<UInt32(8) { _ = underlay.observe(Endpoint(IPAddress(v4: 0x0505_0600 + n), port: 5_000)) }
    #expect(underlay.candidates.count == 8)
  }
}
