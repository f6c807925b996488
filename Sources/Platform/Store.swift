// What a node keeps between two runs, in LMDB: its share of the directory, the peers it knew, notes of its
// own.
//
// One writer, one batch a turn of the loop. *Durability:* the loop also moves packets, so a commit must not
// wait for a disk (a synced commit costs 0.5 ms on a fast virtual disk, milliseconds on most SSDs, tens of
// them on an SD card; one without sync 0.05 ms). Commits are therefore not synced (MDB_NOSYNC):
//
// - A process that dies, by kill -9 too, loses nothing that was committed: the kernel has the pages.
// - A machine that dies may have written any of the pages and not others, and LMDB could not tell. So a
//   marker in the state directory names the boot of the machine under which the store was last open, or says
//   `clean`. When neither fits, the file is not trusted: the last checkpoint (a consistent and synced copy,
//   `checkpoint`) takes its place. Records are replicated and published again, so going back by a minute
//   costs little. What may never go back, such as the incarnation counter, is written with
//   `StateDirectory.writeFile`.
//
// *Invariants:* at most one batch is open. A frame that a read hands out points into the map: it is read only
// and valid until the call returns.
import Base
import CLMDB
import Glibc

/// The node's database. Belongs to one thread; only `checkpoint` works in the background.
public final class Store {
  /// The named databases: `Base` knows them too, because the machines ask for them.
  public typealias Table = StoreTable

  /// Where the contents come from.
  public enum Origin: Sendable, Equatable {
    case new
    case kept
    /// The machine had died; the last checkpoint was taken.
    case checkpoint
    /// The machine had died before there was a checkpoint: the store begins empty.
    case lost
  }

  public static let keyBytesMax = 40
  public static let valueBytesMax = 1_024
  /// The size of the map, and so of the file at most; entries take up to a quarter of it. A change is made in
  /// a copy of the pages it touches, and pages serve again two batches after they were given up: at worst,
  /// three generations of every page. So there is room for deletions also in a full store.
  public static let mapBytesDefault = 64 << 20

  /// The path of the database file.
  public let path: String
  public let origin: Origin
  /// Reads that LMDB could not serve.
  public private(set) var readFailures: UInt64 = 0
  /// From `begin` to `commit` or `abort`.
  public private(set) var isInBatch = false

  private let files: StoreFiles
  private let environment: OpaquePointer
  private let reader: OpaquePointer
  /// By the table's raw value.
  private let tables: [MDB_dbi]
  private let pagesMax: Int
  /// Why the open batch is lost, when it is.
  private var loss: StoreError?
  private var writer: OpaquePointer?
  /// Reads in progress in `reader`.
  private var readDepth = 0
  /// Walks in progress over the open batch; it must not change under them.
  private var batchWalks = 0
  private var isClosed = false

  /// Opens the store in `directory`, or makes it.
  public init(in directory: StateDirectory, mapBytes: Int = mapBytesDefault) throws(StoreError) {
    files = try StoreFiles(directory)
    path = files.file
    origin = try files.prepare()
    environment = try Self.open(files, mapBytes)
    do throws(StoreError) {
      tables = try Self.openTables(environment, path)
      pagesMax = mapBytes / 4 / Int(sysconf(Int32(_SC_PAGESIZE)))
      var transaction: OpaquePointer?
      try StoreError.check(
        mdb_txn_begin(environment, nil, UInt32(MDB_RDONLY), &transaction), "mdb_txn_begin", path)
      mdb_txn_reset(transaction)
      reader = transaction!
    } catch {
      mdb_env_close(environment)
      throw error
    }
  }

  deinit { close() }

  /// Syncs and closes the store; an open batch is forgotten. Waits for a checkpoint under way.
  public func close() {
    guard !isClosed else { return }
    isClosed = true
    files.checkpoint.wait()
    abort()
    mdb_txn_abort(reader)
    if mdb_env_sync(environment, 1) == MDB_SUCCESS { files.markClean() }
    mdb_env_close(environment)
  }

  /// Copies the value of `key` to the beginning of `into`, also when it was put in the open batch.
  /// - Returns: its length in bytes; nil when there is none or `into` is too short.
  public func get(_ table: Table, key: Frame, into: Frame) -> Int? {
    reading { transaction in
      var wanted = MDB_val(key)
      var found = MDB_val()
      let code = mdb_get(transaction, tables[Int(table.rawValue)], &wanted, &found)
      if code != MDB_SUCCESS {
        if code != MDB_NOTFOUND { readFailures &+= 1 }
        return nil
      }
      guard found.mv_size <= into.count else { return nil }
      into.copy(found.frame)
      return found.mv_size
    }
  }

  /// Visits all entries of `table` in the order of their keys. The frames are read only.
  /// *Precondition:* inside an open batch, `body` does not change the store.
  public func forEach(_ table: Table, _ body: (_ key: Frame, _ value: Frame) -> Void) {
    let walk = isInBatch ? 1 : 0
    batchWalks += walk
    defer { batchWalks -= walk }
    _ = reading { transaction -> Int? in
      var cursor: OpaquePointer?
      guard mdb_cursor_open(transaction, tables[Int(table.rawValue)], &cursor) == MDB_SUCCESS else {
        readFailures &+= 1
        return nil
      }
      defer { mdb_cursor_close(cursor) }
      var key = MDB_val()
      var value = MDB_val()
      var code = mdb_cursor_get(cursor, &key, &value, MDB_FIRST)
      while code == MDB_SUCCESS {
        body(key.frame, value.frame)
        code = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)
      }
      if code != MDB_NOTFOUND { readFailures &+= 1 }
      return nil
    }
  }

  /// How many entries `table` has.
  public func count(_ table: Table) -> Int {
    reading { transaction in
      var facts = MDB_stat()
      guard mdb_stat(transaction, tables[Int(table.rawValue)], &facts) == MDB_SUCCESS else { return nil }
      return facts.ms_entries
    } ?? 0
  }

  /// Opens a batch. *Precondition:* none is open.
  public func begin() throws(StoreError) {
    precondition(!isInBatch && !isClosed)
    try StoreError.check(mdb_txn_begin(environment, nil, 0, &writer), "mdb_txn_begin", path)
    loss = nil
    isInBatch = true
  }

  /// Puts an entry, in place of the one with the same key.
  /// - Throws: `.full` or `.size` when the entry is refused; the batch goes on without it. Another error when
  ///   the batch is lost; `commit` will say so too.
  public func put(_ table: Table, key: Frame, value: Frame) throws(StoreError) {
    precondition(isInBatch && batchWalks == 0)
    if let loss { throw loss }
    guard (1...Self.keyBytesMax).contains(key.count), value.count <= Self.valueBytesMax else {
      throw .size(keyBytes: key.count, valueBytes: value.count)
    }
    guard pages < pagesMax else { throw .full(path: path) }
    var place = MDB_val(key)
    var contents = MDB_val(value)
    try inBatch(mdb_put(writer, tables[Int(table.rawValue)], &place, &contents, 0), "mdb_put")
  }

  /// Deletes the entry of `key`.
  /// - Returns: whether there was one.
  @discardableResult
  public func delete(_ table: Table, key: Frame) throws(StoreError) -> Bool {
    precondition(isInBatch && batchWalks == 0)
    guard (1...Self.keyBytesMax).contains(key.count) else { throw .size(keyBytes: key.count, valueBytes: 0) }
    if let loss { throw loss }
    var place = MDB_val(key)
    let code = mdb_del(writer, tables[Int(table.rawValue)], &place, nil)
    if code == MDB_NOTFOUND { return false }
    try inBatch(code, "mdb_del")
    return true
  }

  /// Makes the batch part of the store, whole or (when it throws) not at all.
  public func commit() throws(StoreError) {
    precondition(isInBatch && batchWalks == 0)
    isInBatch = false
    if let loss { throw loss }
    let code = mdb_txn_commit(writer)
    writer = nil
    try StoreError.check(code, "mdb_txn_commit", path)
  }

  /// Forgets the batch, if one is open.
  public func abort() {
    guard isInBatch else { return }
    isInBatch = false
    if let writer { mdb_txn_abort(writer) }
    writer = nil
  }

  /// Waits until all that was committed is on the disk. For shutdown and tests: it may take long.
  public func sync() throws(StoreError) {
    try StoreError.check(mdb_env_sync(environment, 1), "mdb_env_sync", path)
  }

  /// Copies what is committed to where the store is taken from after a power failure. Works on a thread of
  /// its own, one at a time; to be called every minute or so when something changed.
  /// - Parameter done: called on that thread when the copy is on the disk, or with the reason why not.
  public func checkpoint(_ done: @escaping @Sendable (StoreError?) -> Void = { _ in }) {
    precondition(!isClosed)
    files.checkpoint.begin(environment, done)
  }

  private func inBatch(_ code: Int32, _ call: String) throws(StoreError) {
    do throws(StoreError) {
      try StoreError.check(code, call, path)
    } catch {
      mdb_txn_abort(writer)
      writer = nil
      loss = error
      throw error
    }
  }

  /// The pages that the entries take, in the open batch.
  private var pages: Int {
    tables.reduce(0) { sum, table in
      var facts = MDB_stat()
      guard mdb_stat(writer, table, &facts) == MDB_SUCCESS else { return sum }
      return sum + facts.ms_branch_pages + facts.ms_leaf_pages + facts.ms_overflow_pages
    }
  }

  /// Runs `body` in the open batch, or else in a snapshot of what is committed.
  private func reading(_ body: (OpaquePointer) -> Int?) -> Int? {
    precondition(!isClosed)
    if let writer { return body(writer) }
    if readDepth == 0 {
      guard mdb_txn_renew(reader) == MDB_SUCCESS else {
        readFailures &+= 1
        return nil
      }
    }
    readDepth += 1
    defer {
      readDepth -= 1
      if readDepth == 0 { mdb_txn_reset(reader) }
    }
    return body(reader)
  }
}

// Opening.
extension Store {
  private static func open(_ files: StoreFiles, _ mapBytes: Int) throws(StoreError) -> OpaquePointer {
    var environment: OpaquePointer?
    try StoreError.check(mdb_env_create(&environment), "mdb_env_create", files.file)
    do throws(StoreError) {
      try StoreError.check(mdb_env_set_mapsize(environment, mapBytes), "mdb_env_set_mapsize", files.file)
      try StoreError.check(
        mdb_env_set_maxdbs(environment, UInt32(Table.allCases.count)), "maxdbs", files.file)
      // NOTLS: the snapshot of reads and the batch live side by side on one thread.
      let flags = UInt32(MDB_NOSYNC | MDB_NOTLS | MDB_NORDAHEAD)
      try StoreError.check(
        mdb_env_open(environment, files.folder, flags, 0o600), "open \(files.file)", files.file)
      try checkLength(environment!, files)
    } catch {
      mdb_env_close(environment)
      throw error
    }
    return environment!
  }

  /// A file that is shorter than its own count of pages would end the process with SIGBUS when they are read.
  private static func checkLength(_ environment: OpaquePointer, _ files: StoreFiles) throws(StoreError) {
    var facts = MDB_envinfo()
    var sizes = MDB_stat()
    try StoreError.check(mdb_env_info(environment, &facts), "mdb_env_info", files.file)
    try StoreError.check(mdb_env_stat(environment, &sizes), "mdb_env_stat", files.file)
    let wanted = UInt64(facts.me_last_pgno + 1) * UInt64(sizes.ms_psize)
    guard let length = files.length, length >= wanted else {
      throw .corrupt(path: files.file, reason: "it has \(files.length ?? 0) of \(wanted) bytes")
    }
  }

  /// The names on the disk.
  private static func name(_ table: Table) -> String {
    switch table {
    case .records: "records"
    case .peers: "peers"
    case .node: "node"
    }
  }

  private static func openTables(_ environment: OpaquePointer, _ path: String) throws(StoreError) -> [MDB_dbi]
  {
    var transaction: OpaquePointer?
    try StoreError.check(mdb_txn_begin(environment, nil, 0, &transaction), "mdb_txn_begin", path)
    var tables: [MDB_dbi] = []
    for table in Table.allCases {
      var handle = MDB_dbi()
      let code = mdb_dbi_open(transaction, name(table), UInt32(MDB_CREATE), &handle)
      if code != MDB_SUCCESS { mdb_txn_abort(transaction) }
      try StoreError.check(code, "open table \(name(table))", path)
      tables.append(handle)
    }
    try StoreError.check(mdb_txn_commit(transaction), "mdb_txn_commit", path)
    return tables
  }
}

extension MDB_val {
  fileprivate init(_ frame: Frame) { self.init(mv_size: frame.count, mv_data: frame.base) }

  /// Bytes in the map: read only.
  fileprivate var frame: Frame { Frame(base: mv_data, count: mv_size) }
}
