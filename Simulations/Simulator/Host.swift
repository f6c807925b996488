// A simulated machine: one node's core, its packet pool, its store, and what its programs received.

import Base
import Node
import Session
import VPN

/// One node of a simulated network.
public final class Host {
  public let number: Int
  public let endpoint: Endpoint
  public let configuration: NodeConfiguration
  public var core: NodeCore
  public var context: Context
  /// Packets that reached the virtual device, with the moment.
  public internal(set) var delivered: [(at: Instant, bytes: [UInt8])] = []
  public internal(set) var events: [Event] = []
  public internal(set) var isAlive = true
  public internal(set) var sentBytes = 0
  var store: [StoreTable: [[UInt8]: [UInt8]]] = [:]
  var wakeAt: Instant = .never

  init(number: Int, endpoint: Endpoint, configuration: NodeConfiguration, seed: UInt64, at now: Instant) {
    self.number = number
    self.endpoint = endpoint
    self.configuration = configuration
    context = Context(packets: 2_048, effects: 2_048, seed: seed, at: now)
    core = NodeCore(configuration, at: now)
  }

  public var snapshot: Snapshot { core.snapshot(at: context.now) }

  /// Key, value: as the daemon reads them from its store at the start.
  func recover(from old: Host) {
    store = old.store
    for table in StoreTable.allCases {
      for (key, value) in (store[table] ?? [:]).sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
        let scratch = Scratch(capacity: key.count + value.count)
        scratch.frame.write(key + value)
        core.recover(
          table, key: scratch.frame.prefix(key.count), value: scratch.frame.dropping(key.count), &context)
      }
    }
  }
}
