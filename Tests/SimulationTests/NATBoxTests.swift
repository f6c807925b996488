// Each behaviour of RFC 4787 on its own: who shares a mapping, who is let in, when it ends, which port it
// has.

import Base
import Testing

@testable import Simulator

/// A box that can be called inside expectations.
private final class Wall {
  private var box: NATBox

  init(_ behaviour: NATBehaviour) {
    box = NATBox(behaviour, outside: 0x2000_0100, random: Random(seed: 1))
  }

  func outbound(from inside: SimEndpoint, to remote: SimEndpoint, at now: Instant) -> SimEndpoint? {
    box.outbound(from: inside, to: remote, at: now)
  }

  func inbound(to port: UInt16, from remote: SimEndpoint, at now: Instant) -> SimEndpoint? {
    box.inbound(to: port, from: remote, at: now)
  }

  func reboot() { box.reboot() }
}

@Suite struct NATBoxTests {
  typealias Scope = NATBehaviour.Scope

  private let inside = SimEndpoint(0xC0A8_0002, port: 7_741)
  private let a1 = SimEndpoint(0x2000_0001, port: 1_000)
  private let a2 = SimEndpoint(0x2000_0001, port: 2_000)
  private let b1 = SimEndpoint(0x2000_0002, port: 1_000)
  private let now = Instant.start

  private func box(
    _ mapping: Scope = .endpointIndependent, _ filtering: Scope = .endpointIndependent,
    ports: NATBehaviour.Ports = .random, inboundRefreshes: Bool = false
  ) -> Wall {
    let behaviour = NATBehaviour(
      mapping: mapping, filtering: filtering, ports: ports, timeout: .seconds(30),
      inboundRefreshes: inboundRefreshes)
    return Wall(behaviour)
  }

  @Test(arguments: [
    (Scope.endpointIndependent, true, true), (.addressDependent, true, false),
    (.addressAndPortDependent, false, false),
  ])
  func mappingIsSharedByScope(scope: Scope, sameAddress: Bool, otherAddress: Bool) throws {
    let box = box(scope)
    let first = try #require(box.outbound(from: inside, to: a1, at: now))
    #expect(first.address == 0x2000_0100)
    #expect(box.outbound(from: inside, to: a1, at: now) == first)
    #expect((box.outbound(from: inside, to: a2, at: now) == first) == sameAddress)
    #expect((box.outbound(from: inside, to: b1, at: now) == first) == otherAddress)
  }

  @Test(arguments: [
    (Scope.endpointIndependent, true, true), (.addressDependent, true, false),
    (.addressAndPortDependent, false, false),
  ])
  func filterLetsInByScope(scope: Scope, sameAddress: Bool, otherAddress: Bool) throws {
    let box = box(.endpointIndependent, scope)
    let outside = try #require(box.outbound(from: inside, to: a1, at: now))
    #expect(box.inbound(to: outside.port, from: a1, at: now) == inside)
    #expect((box.inbound(to: outside.port, from: a2, at: now) != nil) == sameAddress)
    #expect((box.inbound(to: outside.port, from: b1, at: now) != nil) == otherAddress)
    #expect(box.inbound(to: outside.port &+ 1, from: a1, at: now) == nil)
  }

  @Test func mappingEndsAfterItsTimeAndGetsAnotherPort() throws {
    let box = box(ports: .sequential)
    let first = try #require(box.outbound(from: inside, to: a1, at: now))
    let later = now + .seconds(29)
    #expect(box.outbound(from: inside, to: b1, at: later) == first)
    #expect(box.inbound(to: first.port, from: a1, at: later + .seconds(29)) == inside)
    let end = later + .seconds(30)
    #expect(box.inbound(to: first.port, from: a1, at: end) == nil)
    #expect(box.outbound(from: inside, to: a1, at: end) != first)
  }

  @Test(arguments: [true, false])
  func inboundKeepsAMappingOnlyWhereItShall(refreshes: Bool) throws {
    let box = box(inboundRefreshes: refreshes)
    let outside = try #require(box.outbound(from: inside, to: a1, at: now))
    #expect(box.inbound(to: outside.port, from: a1, at: now + .seconds(20)) == inside)
    let late = now + .seconds(40)
    #expect((box.inbound(to: outside.port, from: a1, at: late) != nil) == refreshes)
    #expect((box.outbound(from: inside, to: b1, at: late) == outside) == refreshes)
  }

  @Test func preservedPortIsKeptUntilAnotherHasIt() throws {
    let box = box(ports: .preserving)
    let neighbour = SimEndpoint(0xC0A8_0003, port: 7_741)
    #expect(box.outbound(from: inside, to: a1, at: now)?.port == 7_741)
    let other = try #require(box.outbound(from: neighbour, to: a1, at: now))
    #expect(other.port != 7_741)
    #expect(box.inbound(to: other.port, from: a1, at: now) == neighbour)
    #expect(box.inbound(to: 7_741, from: a1, at: now) == inside)
  }

  @Test func sequentialPortsFollowEachOther() {
    let box = box(.addressAndPortDependent, ports: .sequential)
    let list = (0..<5).compactMap { n in
      box.outbound(from: inside, to: SimEndpoint(1, port: UInt16(n)), at: now)?.port
    }
    #expect(zip(list, list.dropFirst()).allSatisfy { $1 == $0 &+ 1 })
  }

  @Test func randomPortsAreSpread() {
    let box = box(.addressAndPortDependent, .addressAndPortDependent)
    let list = (0..<200).compactMap { n in
      box.outbound(from: inside, to: SimEndpoint(1, port: UInt16(n)), at: now)?.port
    }
    #expect(Set(list).count == 200 && list.filter { $0 > 32_768 }.count > 60)
    #expect(list.allSatisfy { $0 >= 1_024 })
  }

  @Test func rebootForgetsEverything() throws {
    let box = box()
    let outside = try #require(box.outbound(from: inside, to: a1, at: now))
    box.reboot()
    #expect(box.inbound(to: outside.port, from: a1, at: now) == nil)
    #expect(box.outbound(from: inside, to: a1, at: now) != outside)
  }

  @Test func fullBoxRefusesUntilSomethingEnds() {
    var behaviour = NATBehaviour.hard
    behaviour.mappingsMax = 100
    behaviour.timeout = .seconds(30)
    let box = Wall(behaviour)
    let given = (0..<300).filter {
      box.outbound(from: inside, to: SimEndpoint(9, port: UInt16($0)), at: now) != nil
    }
    #expect(given.count == 100)
    #expect(box.outbound(from: inside, to: a1, at: now + .seconds(31)) != nil)
  }

  /// The tables beside a plain list under a random history.
  @Test(arguments: [UInt64(1), 2, 3])
  func tableIsAsAPlainList(seed: UInt64) {
    var random = Random(seed: seed)
    var table = ExpiringTable(entriesMax: 1_000)
    var model: [UInt64: (value: UInt64, expires: UInt64)] = [:]
    for step in 0..<UInt64(5_000) {
      let key = random.below(200)
      if random.below(2) == 0 {
        let expires = step + 1 + random.below(400)
        let entry = ExpiringTable.Entry(key: key, scope: key & 3, value: step, extra: 0, expires: expires)
        let isSet = table.set(entry, at: step)
        #expect(isSet)
        model[key] = (step, expires)
      } else {
        let expected = model[key].flatMap { $0.expires > step ? $0.value : nil }
        #expect(table.find(key, key & 3, at: step).map { table[$0].value } == expected)
      }
    }
  }

  @Test func masqueradeKeepsThePortButWhereAnotherHasBeen() throws {
    let wall = Wall(.masquerade)
    let other = SimEndpoint(inside.address + 1, port: inside.port)
    #expect(wall.outbound(from: inside, to: a1, at: now)?.port == inside.port)
    let second = try #require(wall.outbound(from: other, to: a1, at: now)?.port)
    #expect(second != inside.port && wall.outbound(from: other, to: a1, at: now)?.port == second)
    #expect(wall.outbound(from: other, to: b1, at: now)?.port == inside.port)
    #expect(try #require(wall.outbound(from: inside, to: b1, at: now)).port != inside.port)
    #expect(wall.inbound(to: inside.port, from: a1, at: now) == inside)
    #expect(wall.inbound(to: inside.port, from: b1, at: now) == other)
    #expect(wall.inbound(to: second, from: a1, at: now) == other)
    #expect(wall.inbound(to: second, from: b1, at: now) == nil)
  }
}
