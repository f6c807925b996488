// The files of the store, and whether they can be believed.
//
//     store/data.mdb         the database
//     store/lock.mdb         LMDB's own
//     store/checkpoint.mdb   a synced copy of the database, never more than a little older
//     store.boot             the boot of the machine under which the database was last open, or "clean"
//
// *Invariant:* before the database is changed, `store.boot` on the disk names this boot.
import Glibc

struct StoreFiles {
  let folder: String
  /// The database.
  let file: String
  let checkpoint: StoreCheckpoint
  private let directory: StateDirectory

  private static let marker = "store.boot"
  private static let clean = Array("clean\n".utf8)

  init(_ directory: StateDirectory) throws(StoreError) {
    self.directory = directory
    folder = directory.path + "/store"
    file = folder + "/data.mdb"
    checkpoint = StoreCheckpoint(folder: folder)
    if mkdir(folder, 0o700) < 0, errno != EEXIST {
      throw .failed(call: "make \(folder)", reason: CallError.text(errno))
    }
  }

  /// The length of the database in bytes; nil when there is none.
  var length: UInt64? {
    var status = stat()
    return stat(file, &status) == 0 ? UInt64(status.st_size) : nil
  }

  /// Makes sure that the database, if there is one, is whole.
  func prepare() throws(StoreError) -> Store.Origin {
    do throws(StateError) {
      let mark = try directory.read(Self.marker)
      let boot = Self.boot
      let isTrusted = mark == nil || mark == Self.clean || (boot != nil && mark == boot)
      var origin: Store.Origin = length == nil ? .new : .kept
      if origin == .kept, !isTrusted { origin = checkpoint.restore(to: file) ? .checkpoint : .lost }
      try directory.writeFile(Self.marker, boot ?? Array("unknown\n".utf8))
      return origin
    } catch {
      throw .failed(call: "prepare \(folder)", reason: error.description)
    }
  }

  /// Says, on the disk, that the database was synced and closed.
  func markClean() { try? directory.writeFile(Self.marker, Self.clean) }

  /// What the kernel calls this boot of the machine; nil when it does not say.
  private static var boot: [UInt8]? {
    let file = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return nil }
    defer { close(file) }
    var text = [UInt8](repeating: 0, count: 64)
    let count = read(file, &text, text.count)
    return count > 0 ? Array(text[..<count]) : nil
  }
}
