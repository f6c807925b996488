// The bounded containers: BoundedArray, Outbox, SlotTable, PacketPool.
import Base
import Testing

@Suite struct BoundedArrayTests {
  @Test(arguments: [1, 2, 3]) func agreesWithAnArray(_ seed: UInt64) {
    var random = Random(seed: seed)
    var list = BoundedArray<5, UInt32>()
    var model: [UInt32] = []
    for step in 0..<5_000 {
      let value = UInt32(random.below(9))
      switch random.below(4) {
      case 0:
        #expect(list.append(value) == (model.count < 5))
        if model.count < 5 { model.append(value) }
      case 1:
        let index = Int(random.below(UInt64(model.count + 1)))
        list.insert(value, at: index)
        if index < 5 { model.insert(value, at: index) }
        model = Array(model.prefix(5))
      case 2 where !model.isEmpty:
        let index = Int(random.below(UInt64(model.count)))
        #expect(list.remove(at: index) == model.remove(at: index))
      case 3 where !model.isEmpty:
        let index = Int(random.below(UInt64(model.count)))
        list[index] = value
        model[index] = value
      default: break
      }
      #expect((0..<list.count).map { list[$0] } == model, "seed \(seed), step \(step)")
      #expect(list.firstIndex { $0 == value } == model.firstIndex(of: value))
      #expect(list.isFull == (model.count == 5))
    }
  }

  @Test func equalityDoesNotSeeWhatWasRemoved() {
    var a = BoundedArray<3, Int>()
    var b = BoundedArray<3, Int>()
    a.append(1)
    a.append(2)
    a.remove(at: 1)
    b.append(1)
    #expect(a == b)
    b.append(9)
    #expect(a != b)
    b.removeAll()
    #expect(b.isEmpty)
    #expect(!b.contains { _ in true })
  }
}

@Suite struct OutboxTests {
  @Test func effectsComeOutInOrder() {
    var outbox = Outbox<Int>(capacity: 4)
    for i in 1...3 { outbox.append(i) }
    #expect(outbox[1] == 2)
    var seen: [Int] = []
    outbox.drain { seen.append($0) }
    #expect(seen == [1, 2, 3])
    #expect(outbox.count == 0)
  }

  @Test func fullOutboxDropsAndCounts() {
    var outbox = Outbox<Int>(capacity: 2)
    #expect(outbox.append(1) == true)
    #expect(outbox.append(2) == true)
    #expect(outbox.append(3) == false)
    #expect(outbox.dropped == 1)
    outbox.removeAll()
    #expect(outbox.append(4) == true)
    #expect(outbox.dropped == 1)
  }

  @Test func effectsThatMustNotBeLostHaveAReserve() {
    var outbox = Outbox<Int>(capacity: 2)
    for i in 0..<5 { outbox.append(i) }
    var taken: [Bool] = []
    for i in 5..<9 { taken.append(outbox.append(i, reserve: 3)) }
    #expect(taken == [true, true, true, false])
    let isOpen = outbox.append(9)
    #expect(!isOpen && outbox.dropped == 5)
    var seen: [Int] = []
    outbox.drain { seen.append($0) }
    #expect(seen == [0, 1, 5, 6, 7])
  }
}

@Suite struct SlotTableTests {
  @Test func lowestFreeSlotIsReusedUnderAnotherSerial() {
    var table = SlotTable<UInt64>(capacity: 3)
    #expect(table.insert(10) == 0)
    #expect(table.insert(11) == 1)
    let serial = table.serial(0)
    table.remove(0)
    #expect(table.isUsed(0) == false)
    #expect(table.insert(12) == 0)
    #expect(table.serial(0) != serial)
    #expect(table[0] == 12)
    #expect(table.count == 2)
    #expect(table.highWater == 2)
  }

  @Test func fullTableRefuses() {
    var table = SlotTable<UInt64>(capacity: 2)
    #expect(table.insert(1) != nil)
    #expect(table.insert(2) != nil)
    #expect(table.insert(3) == nil)
    table.remove(1)
    #expect(table.insert(3) == 1)
  }

  @Test(arguments: [1, 2, 3]) func tableThatGrowsKeepsElementsAndSerials(_ seed: UInt64) throws {
    var random = Random(seed: seed)
    var table = SlotTable<UInt64>(capacity: 90)
    var model: [Int: (value: UInt64, serial: UInt32)] = [:]
    #expect(table.serial(0) == 0 && table.serial(89) == 0)
    for _ in 0..<3_000 {
      if random.below(5) < 3 {
        let value = random.next()
        let inserted = table.insert(value)
        #expect((inserted == nil) == (model.count == 90))
        guard let slot = inserted else { continue }
        #expect(slot == (0..<90).first { model[$0] == nil })
        model[slot] = (value, table.serial(slot))
      } else if let slot = model.keys.min(by: { $0 * 7 % 91 < $1 * 7 % 91 }) {
        table.remove(slot)
        model[slot] = nil
      }
      for slot in 0..<90 {
        #expect(table.isUsed(slot) == (model[slot] != nil))
        if let kept = model[slot] { #expect(table[slot] == kept.value && table.serial(slot) == kept.serial) }
      }
    }
  }

  @Test func elementsChangeInPlace() {
    var table = SlotTable<Endpoint>(capacity: 2)
    _ = table.insert(.none)
    table[0].port = 7
    #expect(table[0].port == 7)
    #expect(table.isUsed(1) == false)
    #expect(table.isUsed(-1) == false)
  }
}

@Suite struct RecordTableTests {
  @Test(arguments: [1, 2, 3]) func agreesWithASlotTable(_ seed: UInt64) {
    var random = Random(seed: seed)
    var records = RecordTable<UInt64>(capacity: 40)
    var slots = SlotTable<UInt64>(capacity: 40)
    for _ in 0..<3_000 {
      let slot = Int(random.below(40))
      if random.below(2) == 0 {
        let value = random.next()
        #expect(records.insert(value) == slots.insert(value))
      } else if slots.isUsed(slot) {
        records.remove(slot)
        slots.remove(slot)
      }
      #expect(records.count == slots.count && records.isEmpty == slots.isEmpty)
      for slot in -1...40 {
        #expect(records.isUsed(slot) == slots.isUsed(slot) && records.serial(slot) == slots.serial(slot))
        if slots.isUsed(slot) { #expect(records[slot] == slots[slot]) }
      }
    }
  }

  @Test func recordsChangeInPlaceAndDoNotMove() {
    var records = RecordTable<Endpoint>(capacity: 100)
    _ = records.insert(.none)
    let before = withUnsafePointer(to: &records[0]) { UInt(bitPattern: $0) }
    records[0].port = 7
    for _ in 1..<100 { #expect(records.insert(.none) != nil) }
    #expect(records.insert(.none) == nil)
    #expect(withUnsafePointer(to: &records[0]) { UInt(bitPattern: $0) } == before && before % 64 == 0)
    #expect(records[0].port == 7 && records.highWater == 100)
    for slot in 50..<100 { records.remove(slot) }
    #expect(records.highWater == 50)
  }
}

@Suite struct PacketPoolTests {
  @Test func exhaustedPoolGivesNothingAndCounts() throws {
    var pool = PacketPool(capacity: 2)
    let first = try pool.slot(10)
    let second = try pool.slot(20)
    #expect(first.slot != second.slot)
    #expect(pool.take(length: 1) == nil)
    #expect(pool.exhausted == 1)
    #expect(pool.available == 0)
    pool.release(first)
    #expect(pool.take(length: 1)?.slot == first.slot)
  }

  @Test(arguments: [1, 2]) func slotsNeverOverlap(_ seed: UInt64) throws {
    var random = Random(seed: seed)
    var pool = PacketPool(capacity: 16)
    var held: [(ref: PacketRef, mark: UInt8)] = []
    for step in 0..<2_000 {
      if held.count == 16 || (random.below(2) == 0 && !held.isEmpty) {
        let (ref, mark) = held.remove(at: Int(random.below(UInt64(held.count))))
        #expect(pool.frame(ref).bytes.allSatisfy { $0 == mark }, "seed \(seed), step \(step)")
        pool.release(ref)
      } else {
        let length = Int(random.below(UInt64(PacketPool.payloadMax))) + 1
        let ref = try pool.slot(length)
        let mark = UInt8(truncatingIfNeeded: step)
        let frame = pool.frame(ref)
        for i in 0..<frame.count { frame[i] = mark }
        held.append((ref, mark))
      }
      #expect(pool.available == 16 - held.count)
    }
  }

  @Test func headroomTakesAHeaderBeforeThePacket() throws {
    var pool = PacketPool(capacity: 1)
    let payload = Scratch([1, 2, 3])
    let taken = pool.take(copying: payload.frame)
    var ref = try #require(taken)
    #expect(Int(ref.offset) == PacketPool.headroom)
    ref.offset -= 2
    ref.length += 2
    pool.frame(ref).write([8, 9])
    #expect(pool.frame(ref).bytes == [8, 9, 1, 2, 3])
    #expect(pool.room(ref).count == PacketPool.slotBytes - PacketPool.headroom + 2)
  }

  @Test func copyThatDoesNotFitIsRefused() {
    var pool = PacketPool(capacity: 1)
    let large = Scratch(capacity: PacketPool.slotBytes)
    #expect(pool.take(copying: large.frame) == nil)
    #expect(pool.available == 1)
  }
}

@Suite struct ContextTests {
  @Test func droppedEffectGivesItsSlotBack() throws {
    var context = Context(packets: 2, effects: 1, seed: 1)
    let first = try context.pool.slot(1)
    let second = try context.pool.slot(1)
    context.emit(.deliver(first), owning: first)
    #expect(context.pool.available == 0)
    context.emit(.deliver(second), owning: second)
    #expect(context.pool.available == 1)
    #expect(context.effects.dropped == 1)
  }
}
