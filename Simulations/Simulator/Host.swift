// A simulated machine: one node's core, its store, and, in a laboratory, what its programs received.
//
// What the event loop reads for each event lies in `NodeRecord`s beside each other; here is the rest.

import Base
import Node
import Session
import VPN

/// One life of one node of a simulated network.
public final class Host {
  // What each event needs stands first.
  public let number: Int
  let storage: UnsafeMutablePointer<NodeCore>
  /// What changes with each call, at a fixed address for the reason that `WorldState` gives.
  let pulse: UnsafeMutablePointer<Pulse>
  let desk: Desk
  private var hasCore = true
  /// Its endpoint as it sees it itself.
  public internal(set) var endpoint: Endpoint
  public let configuration: NodeConfiguration
  /// Packets that reached the virtual device, with the moment; only in a laboratory.
  public internal(set) var delivered: [(at: Instant, bytes: [UInt8])] = []
  /// Questions to the kernel about multicast groups; only in a laboratory.
  public internal(set) var queries: [(at: Instant, bytes: [UInt8])] = []
  /// What the core notified; only in a laboratory.
  public internal(set) var events: [Event] = []
  public internal(set) var isAlive = true
  var disk: Disk
  var clock = NodeClock()
  var weather = Weather()
  /// What the kernel holds for the process while it is stopped.
  var waiting = Waiting()
  var sockets = OpenSockets()
  var streams = HostStreams()

  /// The random stream of the core while it is not called, and what it was handed so far.
  struct Pulse {
    var random: Random
    var receivedDatagrams: UInt64 = 0
    var receivedBytes: UInt64 = 0
  }

  /// About what a host takes beside its core and its store.
  static let bytes =
    MemoryLayout<NodeConfiguration>.stride + MemoryLayout<Disk>.stride + MemoryLayout<Weather>.stride
    + MemoryLayout<NodeClock>.stride + MemoryLayout<Waiting>.stride + MemoryLayout<Pulse>.stride + 256

  /// What came for a process that is stopped.
  struct Waiting {
    var datagrams: [UInt32] = []
    var commits = 0
    /// Datagrams in a socket's buffer; 212,992 bytes of Linux's accounting hold about so many small ones.
    static let datagramsMax = 200
  }

  init(
    number: Int, endpoint: Endpoint, configuration: NodeConfiguration, disk: Disk, desk: Desk,
    random: Random, at now: Instant
  ) {
    self.number = number
    self.endpoint = endpoint
    self.configuration = configuration
    self.disk = disk
    self.desk = desk
    pulse = .allocate(capacity: 1)
    pulse.initialize(to: Pulse(random: random))
    storage = .allocate(capacity: 1)
    storage.initialize(to: NodeCore(configuration, at: now))
  }

  deinit {
    discardCore()
    storage.deallocate()
    pulse.deallocate()
  }

  /// *Precondition:* the node lives, or stands in a laboratory.
  public var core: NodeCore {
    unsafeAddress { UnsafePointer(storage) }
    unsafeMutableAddress {
      precondition(hasCore, "the core of a dead node")
      return storage
    }
  }

  /// The context that its core is called with: in a laboratory its own, elsewhere everybody's.
  public var context: Context {
    unsafeAddress { UnsafePointer(desk.storage) }
    unsafeMutableAddress { desk.storage }
  }

  /// When the core wants to be called next.
  @inline(__always) var deadline: Instant { Self.deadline(of: &storage.pointee) }

  /// Reads the deadline in place. Read through `core`, a copy of the whole struct is made first, 14 KB.
  @inline(never) private static func deadline(of core: inout NodeCore) -> Instant { core.deadline }

  public var snapshot: Snapshot { core.snapshot(at: context.now) }

  /// Frees the core of a dead node.
  func discardCore() {
    guard hasCore else { return }
    hasCore = false
    storage.deinitialize(count: 1)
  }

  /// Reads the store as the daemon does at its start.
  func recover() {
    for table in StoreTable.allCases {
      disk.visit(table) { key, value in
        let scratch = Scratch(capacity: key.count + value.count)
        scratch.frame.write(key + value)
        core.recover(
          table, key: scratch.frame.prefix(key.count), value: scratch.frame.dropping(key.count), &context)
      }
    }
  }
}

/// The UDP sockets of a machine. The main one is always there, and so is the port of its start.
struct OpenSockets {
  /// The port of the main socket.
  private(set) var main = Internet.port
  /// Of the system's choice, in the same order everywhere: above those of all spare sockets.
  private static let firstOther: UInt16 = 32_768
  /// A bit a socket, by number from 1 on; empty until the first is opened.
  private var words: [UInt64] = []

  /// The port of a socket: what a system would choose is here the main port and the number.
  static func port(_ number: SocketNumber) -> UInt16 { Internet.port + number.value }

  /// Moves the main socket to another port.
  /// - Parameter node: each takes others, as systems do that draw them.
  mutating func rebind(node: Int) {
    main = main == Internet.port ? Self.firstOther + UInt16(node % Int(Self.firstOther)) : main &+ 1
    main = max(main, Self.firstOther)
  }

  mutating func insert(_ number: SocketNumber) {
    precondition(number.isSpare)
    if words.isEmpty { words = [UInt64](repeating: 0, count: Int(SocketNumber.sparesMax) / 64 + 1) }
    words[Int(number.value) / 64] |= 1 << UInt64(number.value % 64)
  }

  mutating func remove(_ number: SocketNumber) {
    guard number.isSpare, !words.isEmpty else { return }
    words[Int(number.value) / 64] &= ~(1 << UInt64(number.value % 64))
  }

  /// The socket that is bound to a port.
  @inline(__always) func number(at port: UInt16) -> SocketNumber? {
    if port == Internet.port || port == main { return .main }
    let number = SocketNumber(port &- Internet.port)
    guard number.isSpare, !words.isEmpty else { return nil }
    return words[Int(number.value) / 64] & 1 << UInt64(number.value % 64) == 0 ? nil : number
  }
}

/// A context at a fixed place: many nodes use it one after the other.
final class Desk {
  let storage: UnsafeMutablePointer<Context>

  init(packets: Int, effects: Int, seed: UInt64, at now: Instant) {
    storage = .allocate(capacity: 1)
    storage.initialize(to: Context(packets: packets, effects: effects, seed: seed, at: now))
  }

  deinit {
    storage.deinitialize(count: 1)
    storage.deallocate()
  }
}

/// What the event loop needs to know of a node: 64 bytes, a cache line.
struct NodeRecord {
  /// When the core wants to be called next, in the world's time.
  var deadline: UInt64 = .max
  /// The moment of the wake that counts; others that are still queued are of older generations.
  var wakeAt: UInt64 = .max
  var sentBytes: UInt64 = 0
  var place: Place
  var generation: UInt32 = 0
  var sentDatagrams: UInt32 = 0
  /// Its address on its own network.
  var address: UInt32
  /// The box that it stands behind; negative when there is none.
  var box: Int32 = -1
  /// Which sides of cuts it stands on (`Cuts`).
  var nearSide: UInt16 = 0
  var farSide: UInt16 = 0
  var flags: NodeFlags
  /// How often it was started.
  var life: UInt16 = 0
}

/// What is so of a node at the moment.
struct NodeFlags: OptionSet, BitwiseCopyable {
  let rawValue: UInt16

  static let alive = NodeFlags(rawValue: 1)
  static let paused = NodeFlags(rawValue: 2)
  /// Its clock is not the world's.
  static let skewed = NodeFlags(rawValue: 4)
  /// Its site lets no UDP through.
  static let blocked = NodeFlags(rawValue: 8)
  static let uplinkIsBad = NodeFlags(rawValue: 16)
  static let downlinkIsBad = NodeFlags(rawValue: 32)
  /// A fault holds its access link (`Weather`).
  static let weather = NodeFlags(rawValue: 64)
  /// Its main socket has another port than at the start.
  static let rebound = NodeFlags(rawValue: 128)

  @inline(__always) mutating func set(_ flag: NodeFlags, _ isSet: Bool) {
    if isSet { insert(flag) } else { remove(flag) }
  }
}
