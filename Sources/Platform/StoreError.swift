// Why the store did not do what it was asked for.
import CLMDB
import Glibc

/// A failure of the store.
public enum StoreError: ExplainedError, Equatable {
  /// The store is full, or the disk. What was committed stays.
  case full(path: String)
  /// A key or a value is empty or longer than the store takes.
  case size(keyBytes: Int, valueBytes: Int)
  /// The file is damaged, or not one of ours.
  case corrupt(path: String, reason: String)
  case failed(call: String, reason: String)

  public var description: String {
    switch self {
    case .full(let path): "the store \(path) is full"
    case .size(let key, let value): "a store entry of \(key) + \(value) bytes is not allowed"
    case .corrupt(let path, let reason): "the store \(path) is damaged: \(reason)"
    case .failed(let call, let reason): "\(call): \(reason)"
    }
  }

  public var advice: String {
    switch self {
    case .full: "make room on the disk; entries that expire make room in the store"
    case .corrupt(let path, _): "move \(path) away and start again: other nodes hold copies of what was in it"
    case .size, .failed: ""
    }
  }

  static func text(_ code: Int32) -> String { String(cString: mdb_strerror(code)) }

  /// Throws what an LMDB result other than success means.
  static func check(_ code: Int32, _ call: @autoclosure () -> String, _ path: String) throws(StoreError) {
    switch code {
    case MDB_SUCCESS: return
    case MDB_MAP_FULL, ENOSPC, EDQUOT: throw .full(path: path)
    case MDB_CORRUPTED, MDB_PAGE_NOTFOUND, MDB_INVALID, MDB_VERSION_MISMATCH, MDB_PANIC, MDB_INCOMPATIBLE:
      throw .corrupt(path: path, reason: text(code))
    default: throw .failed(call: call(), reason: text(code))
    }
  }
}
