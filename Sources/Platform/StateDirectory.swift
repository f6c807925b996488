// The directory that makes a node the same node after a restart.
//
// One process at a time: an flock on the file `lock` is held for life, and goes with the process however it
// ends. Files are replaced as a whole (a new file is written, synced and renamed over the old one), so after
// a power failure there is the old contents or the new, never half of it. This is where the identity and the
// incarnation counter live, both of which have to be on the disk before they are used.
import Glibc

/// A state directory that cannot be used.
public enum StateError: ExplainedError, Equatable {
  /// Another process holds it; its ID when it is known.
  case inUse(path: String, process: Int32?)
  /// Others than the owner may read or change what has to be private.
  case exposed(path: String, mode: UInt32)
  /// A file is longer than anything that belongs there.
  case oversized(path: String)
  case call(CallError)

  public var description: String {
    switch self {
    case .inUse(let path, let process):
      "state directory \(path) is in use by another p2pvpn" + (process.map { " (process \($0))" } ?? "")
    case .exposed(let path, let mode): "\(path) is open to other users (mode \(String(mode, radix: 8)))"
    case .oversized(let path): "\(path) is longer than \(StateDirectory.fileBytesMax) bytes"
    case .call(let error): error.description
    }
  }

  public var advice: String {
    switch self {
    case .inUse: "stop that process, or choose another directory with --state DIR"
    case .exposed(let path, _): "if nobody else has read it: chmod go= \(path)"
    case .oversized(let path): "move \(path) out of the way"
    case .call(let error): error.advice
    }
  }
}

/// An open and locked state directory.
public final class StateDirectory {
  /// The name of the file with the node's key.
  public static let identityName = "identity"
  /// The longest file that is read, in bytes.
  public static let fileBytesMax = 1 << 20

  public let path: String
  private let directory: Int32
  private let lock: Int32

  /// Opens the directory, makes it (for the owner alone) when it is not there, and locks it.
  public init(path: String) throws(StateError) {
    self.path = path
    try Self.make(path)
    directory = try Self.call("open \(path)") { open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
    do throws(StateError) {
      try Self.checkPrivate(directory, path, forbidden: 0o022)
      lock = try Self.takeLock(directory, path)
    } catch {
      close(directory)
      throw error
    }
  }

  deinit {
    // Closing alone would leave it to a child that another thread is just starting.
    flock(lock, LOCK_UN)
    close(lock)
    close(directory)
  }

  /// Whether the directory belongs to the user that this process runs as.
  public var isOwn: Bool {
    var status = stat()
    return fstat(directory, &status) == 0 && status.st_uid == geteuid()
  }

  /// The contents of a file; nil when there is none.
  public func read(_ name: String) throws(StateError) -> [UInt8]? {
    let file = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
    if file < 0, errno == ENOENT { return nil }
    try Self.call("open \(path)/\(name)") { file }
    defer { close(file) }
    return try contents(file, name)
  }

  /// The contents of the identity file; nil when there is none.
  /// - Throws: also when other users may read it.
  public func readIdentity() throws(StateError) -> [UInt8]? {
    let name = Self.identityName
    let file = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
    if file < 0, errno == ENOENT { return nil }
    try Self.call("open \(path)/\(name)") { file }
    defer { close(file) }
    try Self.checkPrivate(file, "\(path)/\(name)", forbidden: 0o077)
    return try contents(file, name)
  }

  /// Makes a file or replaces it as a whole. When this returns, it is on the disk.
  /// - Parameter name: a plain file name without a slash.
  public func writeFile(_ name: String, _ bytes: [UInt8], mode: UInt32 = 0o600) throws(StateError) {
    precondition(!name.isEmpty && !name.utf8.contains(UInt8(ascii: "/")) && bytes.count <= Self.fileBytesMax)
    let temporary = ".\(name).new"
    unlinkat(directory, temporary, 0)
    let file = try Self.call("make \(path)/\(temporary)") {
      openat(directory, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode)
    }
    do throws(StateError) {
      defer { close(file) }
      try Self.call("write \(path)/\(temporary)") { Self.writeAll(file, bytes) }
      try Self.call("fchmod \(path)/\(temporary)") { fchmod(file, mode) }
      try Self.call("fsync \(path)/\(temporary)") { fsync(file) }
      try Self.call("rename \(path)/\(name)") { renameat(directory, temporary, directory, name) }
    } catch {
      unlinkat(directory, temporary, 0)
      throw error
    }
    try Self.call("fsync \(path)") { fsync(directory) }
  }

  private func contents(_ file: Int32, _ name: String) throws(StateError) -> [UInt8] {
    var bytes: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 4_096)
    while true {
      let count = try Self.call("read \(path)/\(name)") { Int32(Glibc.read(file, &block, block.count)) }
      if count == 0 { return bytes }
      bytes += block[..<Int(count)]
      guard bytes.count <= Self.fileBytesMax else { throw .oversized(path: "\(path)/\(name)") }
    }
  }

  private static func writeAll(_ file: Int32, _ bytes: [UInt8]) -> Int32 {
    bytes.withUnsafeBytes { buffer in
      var done = 0
      while done < buffer.count {
        let count = write(file, buffer.baseAddress! + done, buffer.count - done)
        if count < 0, errno != EINTR { return -1 }
        done += max(count, 0)
      }
      return 0
    }
  }

  /// Makes the directory and those above it that are missing.
  private static func make(_ path: String) throws(StateError) {
    var end = path.startIndex
    while end < path.endIndex {
      end = path[path.index(after: end)...].firstIndex(of: "/") ?? path.endIndex
      let part = String(path[..<end])
      if mkdir(part, 0o700) < 0, errno != EEXIST {
        let code = errno
        // A file system that is read-only above an existing directory says so before it looks.
        if access(part, F_OK) != 0 {
          throw .call(CallError("make \(part)", code: code, advice: advice(code)))
        }
      }
    }
  }

  private static func takeLock(_ directory: Int32, _ path: String) throws(StateError) -> Int32 {
    let lock = try call("open \(path)/lock") {
      openat(directory, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o600)
    }
    if flock(lock, LOCK_EX | LOCK_NB) < 0 {
      let code = errno
      defer { close(lock) }
      guard code == EWOULDBLOCK else { throw .call(CallError("flock \(path)/lock", code: code)) }
      var text = [UInt8](repeating: 0, count: 16)
      let count = max(pread(lock, &text, text.count, 0), 0)
      let digits = text[..<count].prefix { (48...57).contains($0) }
      throw .inUse(path: path, process: Int32(String(decoding: digits, as: UTF8.self)))
    }
    // Who holds it, for the message above; only a courtesy, so a full disk does not matter here.
    ftruncate(lock, 0)
    _ = writeAll(lock, Array("\(getpid())\n".utf8))
    return lock
  }

  private static func checkPrivate(_ file: Int32, _ path: String, forbidden: UInt32) throws(StateError) {
    var status = stat()
    try call("stat \(path)") { fstat(file, &status) }
    guard status.st_mode & forbidden == 0 else { throw .exposed(path: path, mode: status.st_mode & 0o777) }
  }

  @discardableResult
  private static func call(_ name: @autoclosure () -> String, _ body: () -> Int32) throws(StateError) -> Int32
  {
    do throws(CallError) {
      return try checked(body(), name(), advice: advice)
    } catch {
      throw .call(error)
    }
  }

  private static func advice(_ code: Int32) -> String {
    switch code {
    case EACCES, EPERM: "run as the owner of the directory, or choose another one with --state DIR"
    case ENOSPC, EDQUOT: "make room on the disk"
    case EROFS: "the file system is read-only; choose another directory with --state DIR"
    case EIO: "the disk is failing; look into the kernel's log"
    case ENOTDIR: "a file is where a directory should be"
    default: ""
    }
  }
}
