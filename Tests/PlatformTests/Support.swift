// What several tests of this folder share: a directory that goes away, a thread in a network namespace of its
// own.
import Base
import Glibc
import Platform
import Synchronization
import Testing

/// A fresh directory, removed with everything in it.
final class TemporaryDirectory {
  let path: String

  init() throws {
    var name = Array("/tmp/p2pvpn-test-XXXXXX".utf8CString)
    try #require(mkdtemp(&name) != nil)
    path = String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit { Self.remove(path) }

  private static func remove(_ path: String) {
    if let folder = opendir(path) {
      while let entry = readdir(folder) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
          $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if name != ".", name != ".." { remove(path + "/" + name) }
      }
      closedir(folder)
    }
    _ = Glibc.remove(path)
  }
}

/// Runs `body` on a thread of its own, and waits for it. What it changes of its thread (its signal mask, its
/// network namespace) no other thread sees.
func onThread(_ body: @escaping @Sendable () throws -> Void) throws {
  let failure = Mutex<(any Error)?>(nil)
  final class Job {
    let body: () -> Void
    init(_ body: @escaping () -> Void) { self.body = body }
  }
  try withoutActuallyEscaping(
    {
      do { try body() } catch { failure.withLock { $0 = error } }
    } as () -> Void
  ) { work in
    var thread = pthread_t()
    let job = Unmanaged.passRetained(Job(work))
    let code = pthread_create(
      &thread, nil,
      { argument in
        Unmanaged<Job>.fromOpaque(argument!).takeRetainedValue().body()
        return nil
      }, job.toOpaque())
    try #require(code == 0)
    pthread_join(thread, nil)
  }
  if let error = failure.withLock({ $0 }) { throw error }
}

/// `unshare(2)`, which the C library's Swift module leaves out.
func unshare(_ flags: Int32) -> Int32 {
  typealias Call = @convention(c) (Int32) -> Int32
  guard let symbol = dlsym(nil, "unshare") else { return -1 }
  return unsafeBitCast(symbol, to: Call.self)(flags)
}

let cloneNewNet: Int32 = 0x4000_0000

/// Runs `body` in a fresh network namespace, with a loopback interface that is down and nothing else.
func inNetworkNamespace(_ body: @escaping @Sendable () throws -> Void) throws {
  try onThread {
    try #require(unshare(cloneNewNet) == 0, "unshare: \(errno)")
    try body()
  }
}

/// Why tests of the virtual device cannot run here; nil when they can.
let missingForTUN: String? = {
  if geteuid() != 0 { return "needs root: run the tests as root" }
  if access("/dev/net/tun", R_OK | W_OK) != 0 { return "needs /dev/net/tun: modprobe tun" }
  return nil
}()

/// Memory with `bytes` in it that lives as long as the process; for tests only.
func leaked(_ bytes: [UInt8]) -> Frame {
  let base = UnsafeMutableRawPointer.allocate(byteCount: max(bytes.count, 1), alignment: 16)
  let frame = Frame(base: base, count: bytes.count)
  frame.write(bytes)
  return frame
}

/// Waits until `fd` is readable, at most five seconds.
func isReadable(_ fd: Int32, within milliseconds: Int32 = 5_000) -> Bool {
  var poll = pollfd(fd: fd, events: Int16(POLLIN), revents: 0)
  return Glibc.poll(&poll, 1, milliseconds) == 1
}

/// Starts this test program again for the tests that match `filter`, with one more environment variable.
/// - Returns: how it ended, as `waitpid` says it.
func runSelf(filter: String, variable: String) throws -> Int32 {
  let words = ["tests", "--testing-library", "swift-testing", "--filter", filter]
  var variables = [variable]
  var inherited = environ
  while let entry = inherited.pointee {
    variables.append(String(cString: entry))
    inherited += 1
  }
  let arguments: [UnsafeMutablePointer<CChar>?] = words.map { (word: String) in strdup(word) } + [nil]
  let environment: [UnsafeMutablePointer<CChar>?] = variables.map { (word: String) in strdup(word) } + [nil]
  defer { for pointer in arguments + environment { free(pointer) } }
  var child = pid_t()
  let code = posix_spawn(&child, "/proc/self/exe", nil, nil, arguments, environment)
  try #require(code == 0)
  var status: Int32 = 0
  while waitpid(child, &status, 0) < 0, errno == EINTR {}
  return status
}
