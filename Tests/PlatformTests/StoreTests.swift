// Goal: what was committed is there after every kind of end, and what cannot be believed is not. Method: a
// real LMDB in a temporary directory; for kill -9 this test program starts itself again.
import Base
import Glibc
import Platform
import Synchronization
import Testing

@Suite struct StoreTests {
  private func key(_ text: String) -> Frame { leaked(Array(text.utf8)) }

  private func put(_ store: Store, _ table: Store.Table, _ pairs: (String, [UInt8])...) throws {
    try store.begin()
    for (name, value) in pairs { try store.put(table, key: key(name), value: leaked(value)) }
    try store.commit()
  }

  private func get(_ store: Store, _ table: Store.Table, _ name: String) -> [UInt8]? {
    let room = leaked([UInt8](repeating: 0, count: Store.valueBytesMax))
    return store.get(table, key: key(name), into: room).map { room.prefix($0).bytes }
  }

  private func all(_ store: Store, _ table: Store.Table) -> [String: [UInt8]] {
    var pairs: [String: [UInt8]] = [:]
    store.forEach(table) { pairs[String(decoding: $0.bytes, as: UTF8.self)] = $1.bytes }
    return pairs
  }

  @Test func entryIsReadBackAndDeleted() throws {
    let root = try TemporaryDirectory()
    let store = try Store(in: StateDirectory(path: root.path))
    #expect(store.origin == .new)
    try put(store, .records, ("a", [1]), ("b", [2, 2]))
    #expect(get(store, .records, "a") == [1])
    #expect(get(store, .records, "c") == nil)
    #expect(get(store, .peers, "a") == nil, "tables are separate")
    try store.begin()
    #expect(try store.delete(.records, key: key("a")))
    #expect(try !store.delete(.records, key: key("a")))
    #expect(get(store, .records, "a") == nil, "a batch sees itself")
    try store.put(.records, key: key("b"), value: leaked([]))
    try store.commit()
    #expect(all(store, .records) == ["b": []])
    #expect(store.count(.records) == 1)
    #expect(store.readFailures == 0)
  }

  @Test func forgottenBatchLeavesNothing() throws {
    let root = try TemporaryDirectory()
    let store = try Store(in: StateDirectory(path: root.path))
    try put(store, .node, ("k", [1]))
    try store.begin()
    try store.put(.node, key: key("k"), value: leaked([2]))
    store.abort()
    #expect(get(store, .node, "k") == [1])
    #expect(!store.isInBatch)
  }

  @Test func frameThatIsTooShortGetsNothing() throws {
    let root = try TemporaryDirectory()
    let store = try Store(in: StateDirectory(path: root.path))
    try put(store, .node, ("k", [1, 2, 3]))
    #expect(store.get(.node, key: key("k"), into: leaked([0, 0])) == nil)
    #expect(store.get(.node, key: key("k"), into: leaked([0, 0, 0])) == 3)
  }

  @Test(arguments: [1, 2]) func agreesWithADictionary(_ seed: UInt64) throws {
    let root = try TemporaryDirectory()
    var random = Random(seed: seed)
    var model: [String: [UInt8]] = [:]
    for _ in 0..<4 {
      let store = try Store(in: StateDirectory(path: root.path))
      #expect(all(store, .records) == model, "seed \(seed)")
      for _ in 0..<20 {
        let before = model
        try store.begin()
        for _ in 0..<random.below(20) {
          let name = "key\(random.below(50))"
          if random.below(3) == 0 {
            let was = try store.delete(.records, key: key(name))
            #expect(was == (model.removeValue(forKey: name) != nil))
          } else {
            let value = (0..<random.below(1_025)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            try store.put(.records, key: key(name), value: leaked(value))
            model[name] = value
          }
        }
        if random.below(4) == 0 {
          store.abort()
          model = before
        } else {
          try store.commit()
        }
        #expect(store.count(.records) == model.count, "seed \(seed)")
      }
    }
  }

  @Test func entriesComeInTheOrderOfTheirKeysAndMayBeReadMeanwhile() throws {
    let root = try TemporaryDirectory()
    let store = try Store(in: StateDirectory(path: root.path))
    try put(store, .peers, ("b", [2]), ("a", [1]), ("ab", [3]))
    var order: [String] = []
    store.forEach(.peers) { key, value in
      order.append(String(decoding: key.bytes, as: UTF8.self))
      #expect(get(store, .peers, "a") == [1])
    }
    #expect(order == ["a", "ab", "b"])
  }

  @Test(arguments: [(0, 1), (41, 1), (1, 1_025)]) func wrongSizesAreRefused(
    _ keyBytes: Int, _ valueBytes: Int
  ) throws {
    let root = try TemporaryDirectory()
    let store = try Store(in: StateDirectory(path: root.path))
    let key = leaked([UInt8](repeating: 1, count: keyBytes))
    let value = leaked([UInt8](repeating: 1, count: valueBytes))
    try store.begin()
    #expect(throws: StoreError.size(keyBytes: keyBytes, valueBytes: valueBytes)) {
      try store.put(.records, key: key, value: value)
    }
    #expect(store.isInBatch, "the batch goes on")
    try store.commit()
  }

  @Test func fullStoreKeepsWhatWasCommitted() throws {
    let root = try TemporaryDirectory()
    let store = try Store(in: StateDirectory(path: root.path), mapBytes: 256 << 10)
    var committed = 0
    var refusal: StoreError?
    let value = leaked([UInt8](repeating: 9, count: 1_000))
    while refusal == nil, committed < 10_000 {
      try store.begin()
      for _ in 0..<10 where refusal == nil {
        do throws(StoreError) {
          try store.put(.records, key: key("\(committed)"), value: value)
          committed += 1
        } catch {
          refusal = error
        }
      }
      try store.commit()
    }
    #expect(refusal == .full(path: root.path + "/store/data.mdb"))
    #expect(committed > 30, "a quarter of the map is for entries")
    #expect(store.count(.records) == committed)
    // Even a batch that touches every page goes through, again and again, and room that is made can be used.
    for round in 0..<20 {
      try store.begin()
      for i in 0..<committed { try store.delete(.records, key: key("\(i)")) }
      try store.commit()
      #expect(store.count(.records) == 0, "round \(round)")
      try store.begin()
      for i in 0..<committed { try store.put(.records, key: key("\(i)"), value: value) }
      try store.commit()
    }
    #expect(store.count(.records) == committed)
  }
}

@Suite struct StoreRecoveryTests {
  private func key(_ text: String) -> Frame { leaked(Array(text.utf8)) }

  private func put(_ store: Store, _ name: String) throws {
    try store.begin()
    try store.put(.records, key: key(name), value: leaked([1]))
    try store.commit()
  }

  /// Acts as if the machine had been started anew without the store having been closed.
  private func forgetBoot(_ path: String) throws {
    try StateDirectory(path: path).writeFile("store.boot", Array("another boot\n".utf8))
  }

  private func checkpoint(_ store: Store) throws -> StoreError? {
    let wakeup = try Wakeup()
    let outcome = Outcome()
    store.checkpoint { error in
      outcome.error.withLock { $0 = error }
      wakeup.signal()
    }
    try #require(isReadable(wakeup.fd, within: 30_000))
    return outcome.error.withLock { $0 }
  }

  private final class Outcome: Sendable {
    let error = Mutex<StoreError?>(nil)
  }

  /// The other side of `killedProcessLosesNothingThatWasCommitted`: commits until it is killed.
  @Test(.enabled(if: getenv("P2PVPN_STORE_VICTIM") != nil, "only as the child of another test"))
  func victim() throws {
    let path = String(cString: try #require(getenv("P2PVPN_STORE_VICTIM")))
    let state = try StateDirectory(path: path)
    let store = try Store(in: state)
    for i in 0..<100 { try put(store, "committed \(i)") }
    try store.begin()
    try store.put(.records, key: key("open"), value: leaked([1]))
    kill(getpid(), SIGKILL)
  }

  @Test func killedProcessLosesNothingThatWasCommitted() throws {
    let root = try TemporaryDirectory()
    let status = try runSelf(
      filter: "StoreRecoveryTests.victim", variable: "P2PVPN_STORE_VICTIM=\(root.path)")
    try #require(status & 0x7F == SIGKILL, "the child ended otherwise: \(status)")
    let store = try Store(in: StateDirectory(path: root.path))
    #expect(store.origin == .kept)
    #expect(store.count(.records) == 100)
    #expect(store.get(.records, key: key("open"), into: leaked([0])) == nil)
    try put(store, "after")
    #expect(store.count(.records) == 101)
  }

  @Test func closedStoreIsTrustedAfterAReboot() throws {
    let root = try TemporaryDirectory()
    do { try put(try Store(in: StateDirectory(path: root.path)), "a") }
    #expect(try StateDirectory(path: root.path).read("store.boot") == Array("clean\n".utf8))
    let store = try Store(in: StateDirectory(path: root.path))
    #expect(store.origin == .kept)
    #expect(store.count(.records) == 1)
  }

  @Test func afterPowerFailureTheCheckpointIsTaken() throws {
    let root = try TemporaryDirectory()
    do {
      let store = try Store(in: StateDirectory(path: root.path))
      try put(store, "old")
      #expect(try checkpoint(store) == nil)
      try put(store, "new")
    }
    try forgetBoot(root.path)
    do {
      let store = try Store(in: StateDirectory(path: root.path))
      #expect(store.origin == .checkpoint)
      #expect(store.count(.records) == 1)
      #expect(store.get(.records, key: key("old"), into: leaked([0])) == 1)
      try put(store, "newer")
    }
    // The checkpoint itself is still what it was.
    try forgetBoot(root.path)
    let store = try Store(in: StateDirectory(path: root.path))
    #expect(store.origin == .checkpoint)
    #expect(store.count(.records) == 1)
  }

  @Test func afterPowerFailureWithoutACheckpointTheStoreIsEmpty() throws {
    let root = try TemporaryDirectory()
    do { try put(try Store(in: StateDirectory(path: root.path)), "a") }
    try forgetBoot(root.path)
    let store = try Store(in: StateDirectory(path: root.path))
    #expect(store.origin == .lost)
    #expect(store.count(.records) == 0)
    try put(store, "b")
  }

  @Test func storeMayBeClosedDuringACheckpoint() throws {
    let root = try TemporaryDirectory()
    for _ in 0..<5 {
      let store = try Store(in: StateDirectory(path: root.path))
      try put(store, "a")
      store.checkpoint()
      store.close()
      store.close()
    }
    #expect(access(root.path + "/store/checkpoint.mdb", F_OK) == 0)
  }

  @Test func damagedFileIsNamedWithWhatToDo() throws {
    let root = try TemporaryDirectory()
    do { try put(try Store(in: StateDirectory(path: root.path)), "a") }
    let path = root.path + "/store/data.mdb"
    let file = try #require(fopen(path, "r+e"))
    for _ in 0..<2_000 { fputs("nonsense", file) }
    fclose(file)
    let state = try StateDirectory(path: root.path)
    do throws(StoreError) {
      _ = try Store(in: state)
      Issue.record("opened")
    } catch {
      guard case .corrupt(path, _) = error else {
        Issue.record("\(error)")
        return
      }
      #expect(error.description.hasPrefix("the store \(path) is damaged: "))
      #expect(error.advice.contains("move \(path) away"))
    }
  }

  @Test(arguments: [1, 3]) func truncatedFileIsNoticed(_ pages: Int) throws {
    let root = try TemporaryDirectory()
    do {
      let store = try Store(in: StateDirectory(path: root.path))
      for i in 0..<50 { try put(store, "key \(i)") }
    }
    let path = root.path + "/store/data.mdb"
    truncate(path, pages * 4_096)
    let state = try StateDirectory(path: root.path)
    do throws(StoreError) {
      _ = try Store(in: state)
      Issue.record("opened")
    } catch {
      guard case .corrupt(path, _) = error else {
        Issue.record("\(error)")
        return
      }
    }
  }
}
