// What the event loop of a world changes, at fixed addresses.
//
// A stored property of a class is guarded at run time against overlapping access, some fifty instructions
// each time; a value behind a pointer is not. Nothing here is held across a call into a core.

import Base
import Node

/// The small changing values of a world.
struct WorldScalars {
  var now = Instant.start
  var events: UInt64 = 0
  var records: UnsafeMutablePointer<NodeRecord>
  /// A core is being called.
  var isActing = false
  /// Events so far at this moment.
  var momentEvents = 0
  var lastMoment: UInt64 = 0
  var passes: ((Int, Int) -> Bool)?
  var onEvent: ((Int, Event) -> Void)?
  var onDelivery: ((Int, Frame) -> Void)?
}

/// The large ones, each in memory of its own.
struct WorldState {
  let scalars: UnsafeMutablePointer<WorldScalars>
  let queue: UnsafeMutablePointer<EventQueue>
  let arena: UnsafeMutablePointer<DatagramArena>
  let internet: UnsafeMutablePointer<Internet>
  let geography: UnsafeMutablePointer<Geography>
  let cuts: UnsafeMutablePointer<Cuts>
  let hosts: UnsafeMutablePointer<[Host]>
  let counters: UnsafeMutablePointer<WorldCounters>
  let sum: UnsafeMutablePointer<Digest>
  let wireRandom: UnsafeMutablePointer<Random>
  let loss: UnsafeMutablePointer<LossModel>
  let streams: UnsafeMutablePointer<StreamTable>

  init(_ options: WorldOptions, capacity: Int) {
    let root = Random(seed: options.seed)
    scalars = .allocate(capacity: 1)
    scalars.initialize(to: WorldScalars(records: .allocate(capacity: capacity)))
    wireRandom = .allocate(capacity: 1)
    wireRandom.initialize(to: root.split(1))
    geography = .allocate(capacity: 1)
    geography.initialize(to: Geography(options.latency, random: root.split(2)))
    internet = .allocate(capacity: 1)
    internet.initialize(to: Internet(isPrivate: options.isLaboratory, random: root.split(3)))
    loss = .allocate(capacity: 1)
    loss.initialize(to: options.loss)
    cuts = .allocate(capacity: 1)
    cuts.initialize(to: Cuts())
    sum = .allocate(capacity: 1)
    sum.initialize(to: Digest(seed: options.seed))
    // Some 32 events a slot at five events a second and node: enough to see ahead, few enough to sort.
    let slot = 6_400_000_000 / UInt64(max(options.nodesExpected, 1))
    queue = .allocate(capacity: 1)
    queue.initialize(to: EventQueue(slotNanoseconds: min(max(slot, 1 << 13), 1 << 21)))
    arena = .allocate(capacity: 1)
    arena.initialize(to: DatagramArena(bytesMax: options.arenaBytesMax))
    counters = .allocate(capacity: 1)
    counters.initialize(to: WorldCounters())
    streams = .allocate(capacity: 1)
    streams.initialize(to: StreamTable())
    hosts = .allocate(capacity: 1)
    hosts.initialize(to: [])
    hosts.pointee.reserveCapacity(capacity)
  }

  func free() {
    scalars.pointee.records.deallocate()
    end(scalars)
    end(queue)
    end(arena)
    end(internet)
    end(geography)
    end(cuts)
    end(hosts)
    end(counters)
    end(sum)
    end(wireRandom)
    end(loss)
    end(streams)
  }

  private func end<Value: ~Copyable>(_ place: UnsafeMutablePointer<Value>) {
    place.deinitialize(count: 1)
    place.deallocate()
  }
}

extension World {
  /// The moment of the virtual clock.
  public internal(set) var now: Instant {
    get { state.scalars.pointee.now }
    set { state.scalars.pointee.now = newValue }
  }

  /// Deliveries and expiries that had work.
  public internal(set) var events: UInt64 {
    get { state.scalars.pointee.events }
    set { state.scalars.pointee.events = newValue }
  }

  var records: UnsafeMutablePointer<NodeRecord> {
    get { state.scalars.pointee.records }
    set { state.scalars.pointee.records = newValue }
  }

  /// Whether a datagram between these nodes passes; nil lets everything pass.
  public var passes: ((Int, Int) -> Bool)? {
    get { state.scalars.pointee.passes }
    set { state.scalars.pointee.passes = newValue }
  }

  /// Told of what a device is given; may not act on the world.
  public var onDelivery: ((Int, Frame) -> Void)? {
    get { state.scalars.pointee.onDelivery }
    set { state.scalars.pointee.onDelivery = newValue }
  }

  /// Told of what cores notify, after the effects of the call have been carried out; may act on the world.
  public var onEvent: ((Int, Event) -> Void)? {
    get { state.scalars.pointee.onEvent }
    set { state.scalars.pointee.onEvent = newValue }
  }

  var queue: EventQueue {
    unsafeAddress { UnsafePointer(state.queue) }
    unsafeMutableAddress { state.queue }
  }

  var arena: DatagramArena {
    unsafeAddress { UnsafePointer(state.arena) }
    unsafeMutableAddress { state.arena }
  }

  var internet: Internet {
    unsafeAddress { UnsafePointer(state.internet) }
    unsafeMutableAddress { state.internet }
  }

  var geography: Geography {
    unsafeAddress { UnsafePointer(state.geography) }
    unsafeMutableAddress { state.geography }
  }

  var cuts: Cuts {
    unsafeAddress { UnsafePointer(state.cuts) }
    unsafeMutableAddress { state.cuts }
  }

  /// All hosts by node number, the dead ones too.
  public internal(set) var hosts: [Host] {
    unsafeAddress { UnsafePointer(state.hosts) }
    unsafeMutableAddress { state.hosts }
  }

  /// What became of datagrams.
  public internal(set) var counters: WorldCounters {
    unsafeAddress { UnsafePointer(state.counters) }
    unsafeMutableAddress { state.counters }
  }

  var sum: Digest {
    unsafeAddress { UnsafePointer(state.sum) }
    unsafeMutableAddress { state.sum }
  }

  var wireRandom: Random {
    unsafeAddress { UnsafePointer(state.wireRandom) }
    unsafeMutableAddress { state.wireRandom }
  }

  var streams: StreamTable {
    unsafeAddress { UnsafePointer(state.streams) }
    unsafeMutableAddress { state.streams }
  }

  var loss: LossModel {
    unsafeAddress { UnsafePointer(state.loss) }
    unsafeMutableAddress { state.loss }
  }
}
