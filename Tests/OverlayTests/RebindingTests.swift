// Goal: a node whose mapping varies tries another port, once in each place, where that may help and harms
// nobody.

import Base
import Testing

@testable import Overlay

@Suite struct RebindingTests {
  /// A member at home, whose port is not the operator's choice.
  private func node() -> LoneNode {
    let node = LoneNode()
    node.links.underlay.port = 7_741
    node.links.underlay.interfaces = [IPPrefix(IPAddress("192.168.7.20")!, length: 24)]
    node.links.underlay.keepsPort = false
    return node
  }

  /// Two observers tell where they see the node.
  /// - Returns: how often it wants another port.
  private func rebinds(_ node: LoneNode, _ seen: String...) -> Int {
    for (n, text) in seen.enumerated() {
      let observer = Endpoint(IPAddress(v4: 0x0808_0000 + UInt32(n)), port: 7_741)
      _ = node.links.underlay.observe(Endpoint(text)!, by: observer)
      _ = node.links.rebindIfOfUse(&node.context)
    }
    return (0..<node.context.effects.count).count {
      if case .rebind = node.context.effects[$0] { true } else { false }
    }
  }

  @Test func portThatIsTakenByAnotherIsLeftOnce() {
    #expect(rebinds(node(), "5.5.5.5:7741", "5.5.5.5:9000") == 1, "one sees ours, and one does not")
    #expect(rebinds(node(), "5.5.5.5:9000", "5.5.5.5:7741") == 1)
    #expect(rebinds(node(), "5.5.5.5:9000") == 1, "the only one does not")
    #expect(rebinds(node(), "5.5.5.5:9000", "5.5.5.5:9001", "5.5.5.5:9002") == 1, "a hard box: once in vain")
  }

  @Test func portThatIsOursIsKept() {
    #expect(rebinds(node()) == 0)
    #expect(rebinds(node(), "5.5.5.5:7741", "5.5.5.5:7741") == 0)
    #expect(rebinds(node(), "192.168.7.20:9000") == 0, "there is no box")
    #expect(rebinds(node(), "[2001:db8::7]:9000") == 0)
  }

  @Test func operatorsPortIsKept() {
    let node = node()
    node.links.underlay.keepsPort = true
    #expect(rebinds(node, "5.5.5.5:7741", "5.5.5.5:9000") == 0)
  }

  @Test func portOfAMachineWithAPublicAddressIsKept() {
    let node = node()
    node.links.underlay.interfaces.append(IPPrefix(IPAddress("6.6.6.6")!, length: 24))
    #expect(rebinds(node, "5.5.5.5:7741", "5.5.5.5:9000") == 0)
    node.links.underlay.interfaces.removeLast()
    #expect(rebinds(node, "5.5.5.5:7741") == 1)
  }

  @Test func boxThatCountsIsLeftToPrediction() {
    let node = node()
    node.links.underlay.reflection.counts = true
    #expect(rebinds(node, "5.5.5.5:9000", "5.5.5.5:9001") == 0)
  }

  @Test func trafficBetweenBoxesIsNotDisturbed() {
    let node = node()
    let key = IdentityKeys.first
    let slot = node.raise(key)
    node.links.peers[slot].paths[1] = Path(
      way: .endpoint(Endpoint("9.9.9.9:7741")!), isLAN: false, at: .start)
    node.links.peers[slot].paths[1]!.isValid = true
    node.links.peers[slot].sentBytes = 1
    node.links.peers[slot].mapping = .independent
    #expect(rebinds(node, "5.5.5.5:7741", "5.5.5.5:9000") == 0)
    node.context.now = .start + Timing.activity
    #expect(rebinds(node, "5.5.5.5:7741") == 1, "it has been quiet")
  }

  @Test func peerWithoutABoxDoesNotHinder() {
    let node = node()
    let slot = node.raise(IdentityKeys.first)
    node.links.peers[slot].paths[1] = Path(
      way: .endpoint(Endpoint("9.9.9.9:7741")!), isLAN: false, at: .start)
    node.links.peers[slot].paths[1]!.isValid = true
    node.links.peers[slot].sentBytes = 1
    node.links.peers[slot].mapping = .open
    #expect(rebinds(node, "5.5.5.5:9000") == 1)
  }

  @Test func fullOutboxPutsItOff() {
    let node = node()
    while node.context.effects.append(.close(.main)) {}
    #expect(rebinds(node, "5.5.5.5:9000") == 0)
    node.context.effects.removeAll()
    #expect(rebinds(node, "5.5.5.5:9000") == 1)
  }
}

private enum IdentityKeys {
  static let first = {
    var random = Random(seed: 1)
    return random.publicKey()
  }()
}
