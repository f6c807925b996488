// Goal: a sparse array is an array of optionals, whatever order its places are filled and emptied in.
// Method: random steps, each compared with the naive model.
import Base
import Testing

extension UInt32: SparseElement {
  public static let nothing = EmptyPlace<UInt32>()
}

extension UInt64: SparseElement {
  public static let nothing = EmptyPlace<UInt64>()
}

@Suite struct SparseArrayTests {
  private struct Large: SparseElement, Equatable {
    static let nothing = EmptyPlace<Large>()
    var number: UInt64
    var rest: (UInt64, UInt64, UInt64) = (1, 2, 3)

    static func == (a: Large, b: Large) -> Bool { a.number == b.number && a.rest == b.rest }
  }

  @Test(arguments: [UInt64(1), 2, 3]) func agreesWithAnArrayOfOptionals(_ seed: UInt64) {
    var random = Random(seed: seed)
    for _ in 0..<50 {
      var sparse = SparseArray<6, Large>()
      var model = [Large?](repeating: nil, count: 6)
      for step in 0..<60 {
        let place = Int(random.below(6))
        switch random.below(8) {
        case 0..<3:
          let element = Large(number: random.next())
          sparse[place] = element
          model[place] = element
        case 3, 4:
          sparse[place] = nil
          model[place] = nil
        case 5, 6:
          // In place, and nothing happens where nothing is.
          sparse[place]?.number &+= 7
          model[place]?.number &+= 7
        default:
          if random.below(4) == 0 {
            sparse.removeAll()
            model = [Large?](repeating: nil, count: 6)
          }
        }
        #expect((0..<6).map { sparse[$0] } == model, "step \(step)")
      }
      sparse.release()
    }
  }

  @Test func freshPlacesAreEmptyAndWritingNothingFillsNone() {
    var sparse = SparseArray<5, UInt32>()
    #expect((0..<5).allSatisfy { sparse[$0] == nil })
    sparse[3] = nil
    sparse[1]? += 1
    #expect((0..<5).allSatisfy { sparse[$0] == nil })
    sparse[4] = 9
    #expect((0..<5).map { sparse[$0] } == [nil, nil, nil, nil, 9])
    sparse.release()
  }

  @Test func emptiedPlacesAreFilledAgainWithoutMoreMemory() {
    // More rounds than a place number of one byte could count.
    var sparse = SparseArray<3, UInt64>()
    for round in 0..<1_000 as Range<UInt64> {
      for place in 0..<3 { sparse[place] = round * 3 + UInt64(place) }
      #expect((0..<3).map { sparse[$0] } == (0..<3).map { round * 3 + UInt64($0) })
      if round.isMultiple(of: 2) { sparse.removeAll() } else { for i in 0..<3 { sparse[i] = nil } }
      #expect((0..<3).allSatisfy { sparse[$0] == nil })
    }
    sparse.release()
  }

  @Test func ownerMayMoveAndBeReleasedElsewhere() {
    // As a table of records does that grows: the record's bytes are copied, and the copy is the owner.
    var records = [SparseArray<2, UInt64>]()
    for i in 0..<100 as Range<UInt64> {
      var record = SparseArray<2, UInt64>()
      if i.isMultiple(of: 3) { record[1] = i }
      records.append(record)
    }
    for i in 0..<100 {
      #expect(records[i][1] == (i.isMultiple(of: 3) ? UInt64(i) : nil))
      records[i][0] = 5
      #expect(records[i][0] == 5)
    }
    for record in records { record.release() }
  }
}
