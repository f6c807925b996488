// What will happen in a simulated network, in order of time; things at the same moment in the order in which
// they were planned.
//
// A hashed wheel of two levels (Varghese and Lauck, "Hashed and hierarchical timing wheels", 1987). The near
// wheel has 4,096 slots of a power of two of nanoseconds, the far wheel 4,096 buckets of 4,096 slots each;
// what lies beyond both waits in a list. Slots are chains of chunks of 256 bytes with ten events each, so
// that putting an event away touches one cache line of an open chunk and no event is moved alone. A slot is
// sorted by (time, sequence) only when time comes to it. What is planned for a slot that is open already
// goes into a small heap beside it, so that no push is slow however many events share a moment.
//
// Invariants: every event of the near wheel lies in one of the 4,096 slots after the open one, whose own
// chain is empty; every event of the far wheel in one of the 4,095 windows after the current one; the list
// holds only later ones.

/// A moment in nanoseconds, its order among equals, and one word that says what happens.
struct QueuedEvent: BitwiseCopyable {
  var at: UInt64
  var sequence: UInt64
  var word: UInt64

  @inline(__always) func isBefore(_ other: QueuedEvent) -> Bool {
    at != other.at ? at < other.at : sequence < other.sequence
  }
}

/// A priority queue of words, ordered by time and then by sequence.
struct EventQueue: ~Copyable {
  /// Slots of the near wheel, and buckets of the far one.
  private static let slots: UInt64 = 4_096
  private static let slotBits: UInt64 = 12
  /// Events in a chunk: 240 of its 256 bytes.
  private static let chunkEvents = 10
  private static let chunkBytes = 256
  /// Chunks in a slab, the unit in which memory is taken: 1 MiB.
  private static let slabBits: UInt32 = 12

  /// The slot width as a power of two, in nanoseconds.
  private let shift: UInt64
  /// The number of the slot that is open: time shifted by `shift`.
  private var tick: UInt64 = 0
  private var sequence: UInt64 = 0
  private(set) var count = 0

  /// The open slot, sorted, and how much of it has been handed out.
  private var opened: UnsafeMutablePointer<QueuedEvent>
  private var openedCapacity = 64
  private var openedCount = 0
  private var cursor = 0
  /// What was planned for the open slot, or for the past, after it was opened: a binary heap.
  private var late: [QueuedEvent] = []

  private let near: Wheel
  private let far: Wheel
  private var beyond: UInt32 = 0
  private var beyondCount = 0
  /// The earliest window of the list.
  private var beyondWindow = UInt64.max

  private var slabs: [UnsafeMutableRawPointer] = []
  private var freeChunk: UInt32 = 0
  private var chunks: UInt32 = 1

  /// - Parameter slotNanoseconds: the width of a slot, rounded down to a power of two. Best when some eight
  ///   events fall into one.
  init(slotNanoseconds: UInt64 = 1 << 17) {
    precondition(slotNanoseconds > 0)
    shift = UInt64(63 - slotNanoseconds.leadingZeroBitCount)
    opened = .allocate(capacity: openedCapacity)
    near = Wheel()
    far = Wheel()
  }

  deinit {
    opened.deallocate()
    near.free()
    far.free()
    for slab in slabs { slab.deallocate() }
  }

  /// Bytes that the queue has taken from the system.
  var bytes: Int { slabs.count * (Self.chunkBytes << Int(Self.slabBits)) + openedCapacity * 24 + 2 * 17_000 }

  /// Plans `word` for `at`, after everything that is planned for the same moment.
  mutating func push(_ word: UInt64, at: UInt64) {
    sequence &+= 1
    count += 1
    place(QueuedEvent(at: at, sequence: sequence, word: word))
  }

  /// The next event, unless it lies behind `limit`.
  mutating func pop(upTo limit: UInt64) -> QueuedEvent? {
    while true {
      if cursor < openedCount {
        let next = opened[cursor]
        if let first = late.first, first.isBefore(next) { return popLate(limit) }
        guard next.at <= limit else { return nil }
        cursor += 1
        count -= 1
        return next
      }
      if !late.isEmpty { return popLate(limit) }
      guard count > 0, openNext(limit) else { return nil }
    }
  }

  /// What will probably be popped after so many others; nil when that is not known yet.
  @inline(__always) func upcoming(_ distance: Int) -> QueuedEvent? {
    cursor + distance < openedCount ? opened[cursor + distance] : nil
  }

  // MARK: - Placing

  private mutating func place(_ event: QueuedEvent) {
    let slot = event.at &>> shift
    if slot <= tick { return pushLate(event) }
    if slot &- tick <= Self.slots { return add(event, to: near, slot & (Self.slots - 1)) }
    let window = slot &>> Self.slotBits
    if window &- (tick &>> Self.slotBits) < Self.slots {
      return add(event, to: far, window & (Self.slots - 1))
    }
    let head = beyond
    beyond = put(event, on: head)
    beyondCount += 1
    beyondWindow = min(beyondWindow, window)
  }

  private mutating func add(_ event: QueuedEvent, to wheel: Wheel, _ slot: UInt64) {
    wheel.heads[Int(slot)] = put(event, on: wheel.heads[Int(slot)])
    wheel.mark(Int(slot))
  }

  /// Adds to the chain that begins with `head`.
  /// - Returns: the chain's first chunk.
  private mutating func put(_ event: QueuedEvent, on head: UInt32) -> UInt32 {
    var first = head
    if first == 0 || chunk(first).pointee.count == Self.chunkEvents {
      first = takeChunk()
      chunk(first).pointee = ChunkHeader(next: head, count: 0)
    }
    let header = chunk(first)
    events(first)[Int(header.pointee.count)] = event
    header.pointee.count += 1
    return first
  }

  // MARK: - The open slot

  /// Opens the next slot that has events.
  /// - Returns: false when there is none that begins at or before `limit`.
  private mutating func openNext(_ limit: UInt64) -> Bool {
    while true {
      let start = Int((tick &+ 1) & (Self.slots - 1))
      if start != 0, let slot = near.first(from: start) {
        return open(tick - (tick & (Self.slots - 1)) + UInt64(slot), limit)
      }
      // This window is done: the next one is the following one, or the first with anything in it.
      let current = tick &>> Self.slotBits
      var window = current + 1
      if near.first(from: 0) == nil {
        let bucket = Int(window & (Self.slots - 1))
        if let found = far.first(from: bucket) ?? far.first(from: 0) {
          window += (UInt64(found) &- window) & (Self.slots - 1)
          window = min(window, beyondWindow)
        } else {
          guard beyondWindow != .max else { return false }
          window = max(window, beyondWindow)
        }
      }
      guard (window &<< Self.slotBits) &<< shift <= limit else { return false }
      enter(window)
      if let slot = near.first(from: 0) { return open(window &<< Self.slotBits + UInt64(slot), limit) }
    }
  }

  /// Moves time to the beginning of a window: brings its events from the far wheel into the near one.
  private mutating func enter(_ window: UInt64) {
    // One slot before the window, so that its first slot counts as ahead.
    tick = (window &<< Self.slotBits) &- 1
    if beyondWindow < window + Self.slots / 2 { bringNearer(window) }
    let bucket = Int(window & (Self.slots - 1))
    let head = far.heads[bucket]
    far.clear(bucket)
    scatter(head)
  }

  /// Sorts the list into the wheels, as far as it fits.
  private mutating func bringNearer(_ window: UInt64) {
    let head = beyond
    beyond = 0
    beyondCount = 0
    beyondWindow = .max
    scatter(head)
  }

  /// Places every event of a chain anew and gives the chunks back.
  private mutating func scatter(_ head: UInt32) {
    var next = head
    while next != 0 {
      let header = chunk(next).pointee
      for i in 0..<Int(header.count) { place(events(next)[i]) }
      giveBack(next)
      next = header.next
    }
  }

  private mutating func open(_ slot: UInt64, _ limit: UInt64) -> Bool {
    guard slot &<< shift <= limit else { return false }
    tick = slot
    let place = Int(slot & (Self.slots - 1))
    var next = near.heads[place]
    near.clear(place)
    openedCount = 0
    cursor = 0
    while next != 0 {
      let header = chunk(next).pointee
      let size = Int(header.count)
      if openedCount + size > openedCapacity { growOpened() }
      (opened + openedCount).update(from: events(next), count: size)
      openedCount += size
      giveBack(next)
      next = header.next
    }
    sortOpened()
    return true
  }

  private mutating func growOpened() {
    let larger = UnsafeMutablePointer<QueuedEvent>.allocate(capacity: openedCapacity * 2)
    larger.update(from: opened, count: openedCount)
    opened.deallocate()
    opened = larger
    openedCapacity *= 2
  }

  /// Few events are sorted by insertion; many by the library.
  private func sortOpened() {
    guard openedCount <= 48 else {
      var all = UnsafeMutableBufferPointer(start: opened, count: openedCount)
      return all.sort { $0.isBefore($1) }
    }
    var i = 1
    while i < openedCount {
      let event = opened[i]
      var hole = i
      while hole > 0, event.isBefore(opened[hole - 1]) {
        opened[hole] = opened[hole - 1]
        hole -= 1
      }
      opened[hole] = event
      i += 1
    }
  }

  private mutating func pushLate(_ event: QueuedEvent) {
    late.append(event)
    var i = late.count - 1
    while i > 0, late[i].isBefore(late[(i - 1) / 2]) {
      late.swapAt(i, (i - 1) / 2)
      i = (i - 1) / 2
    }
  }

  private mutating func popLate(_ limit: UInt64) -> QueuedEvent? {
    let first = late[0]
    guard first.at <= limit else { return nil }
    let last = late.removeLast()
    count -= 1
    guard !late.isEmpty else { return first }
    late[0] = last
    var i = 0
    while true {
      var least = i
      if 2 * i + 1 < late.count, late[2 * i + 1].isBefore(late[least]) { least = 2 * i + 1 }
      if 2 * i + 2 < late.count, late[2 * i + 2].isBefore(late[least]) { least = 2 * i + 2 }
      if least == i { return first }
      late.swapAt(i, least)
      i = least
    }
  }

  // MARK: - Chunks

  private func address(_ number: UInt32) -> UnsafeMutableRawPointer {
    slabs[Int(number &>> Self.slabBits)] + Int(number & ((1 << Self.slabBits) - 1)) * Self.chunkBytes
  }

  private func chunk(_ number: UInt32) -> UnsafeMutablePointer<ChunkHeader> {
    address(number).assumingMemoryBound(to: ChunkHeader.self)
  }

  private func events(_ number: UInt32) -> UnsafeMutablePointer<QueuedEvent> {
    (address(number) + 16).assumingMemoryBound(to: QueuedEvent.self)
  }

  private mutating func takeChunk() -> UInt32 {
    if freeChunk != 0 {
      let number = freeChunk
      freeChunk = chunk(number).pointee.next
      return number
    }
    let number = chunks
    chunks += 1
    if Int(number &>> Self.slabBits) >= slabs.count {
      slabs.append(.allocate(byteCount: Self.chunkBytes << Int(Self.slabBits), alignment: 256))
    }
    return number
  }

  private mutating func giveBack(_ number: UInt32) {
    chunk(number).pointee.next = freeChunk
    freeChunk = number
  }
}

/// What stands before the events of a chunk.
struct ChunkHeader: BitwiseCopyable {
  /// The next chunk of the chain, or of the free list; 0 ends it.
  var next: UInt32
  var count: UInt32
}

/// The chains of 4,096 slots, and a bit for each that is not empty.
private struct Wheel {
  let heads: UnsafeMutablePointer<UInt32>
  /// 64 words with a bit a slot, then one word with a bit a word.
  private let bits: UnsafeMutablePointer<UInt64>

  init() {
    heads = .allocate(capacity: 4_096)
    heads.initialize(repeating: 0, count: 4_096)
    bits = .allocate(capacity: 65)
    bits.initialize(repeating: 0, count: 65)
  }

  func free() {
    heads.deallocate()
    bits.deallocate()
  }

  func mark(_ slot: Int) {
    bits[slot &>> 6] |= 1 &<< UInt64(slot & 63)
    bits[64] |= 1 &<< UInt64(slot &>> 6)
  }

  func clear(_ slot: Int) {
    heads[slot] = 0
    bits[slot &>> 6] &= ~(1 &<< UInt64(slot & 63))
    if bits[slot &>> 6] == 0 { bits[64] &= ~(1 &<< UInt64(slot &>> 6)) }
  }

  /// The first slot at or after `start` that is not empty.
  func first(from start: Int) -> Int? {
    let word = start &>> 6
    let here = bits[word] & (UInt64.max &<< UInt64(start & 63))
    if here != 0 { return word &<< 6 | here.trailingZeroBitCount }
    guard word < 63 else { return nil }
    let later = bits[64] & (UInt64.max &<< UInt64(word + 1))
    guard later != 0 else { return nil }
    let next = later.trailingZeroBitCount
    return next &<< 6 | bits[next].trailingZeroBitCount
  }
}
