// The copy of the store that is believed when the machine has died.
//
// Copying and syncing take as long as the disk likes, so they happen on a thread of their own, from a
// snapshot that LMDB keeps consistent while the loop goes on writing. The copy is made beside the old one and
// renamed over it when it is on the disk. The thread holds this object alone, never the state directory: its
// lock goes when its owner goes.
import CLMDB
import Glibc

final class StoreCheckpoint {
  let file: String
  private let folder: String
  /// 0 while a copy is being written.
  private let idle: UnsafeMutablePointer<sem_t>

  init(folder: String) {
    self.folder = folder
    file = folder + "/checkpoint.mdb"
    idle = .allocate(capacity: 1)
    sem_init(idle, 0, 1)
  }

  deinit {
    sem_destroy(idle)
    idle.deallocate()
  }

  /// Waits for the copy under way, if there is one.
  func wait() {
    while sem_wait(idle) < 0 {}
    sem_post(idle)
  }

  /// Begins a copy. *Precondition:* the environment stays open until `wait` has returned.
  func begin(_ environment: OpaquePointer, _ done: @escaping @Sendable (StoreError?) -> Void) {
    guard sem_trywait(idle) == 0 else {
      return done(.failed(call: "checkpoint \(folder)", reason: "the previous one is still being written"))
    }
    nonisolated(unsafe) let checkpoint = self
    nonisolated(unsafe) let environment = environment
    do throws(CallError) {
      try detach {
        let failure = checkpoint.copy(environment)
        sem_post(checkpoint.idle)
        done(failure)
      }
    } catch {
      sem_post(idle)
      done(.failed(call: error.call, reason: error.reason))
    }
  }

  /// Puts the checkpoint in the place of the database `target`.
  /// - Returns: false when there is none, or it cannot be copied; then there is no database either.
  func restore(to target: String) -> Bool {
    unlink(target)
    unlink(folder + "/lock.mdb")
    let source = open(file, O_RDONLY | O_CLOEXEC)
    guard source >= 0 else { return false }
    defer { close(source) }
    let copy = open(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    guard copy >= 0 else { return false }
    defer { close(copy) }
    var count = 0
    repeat { count = sendfile(copy, source, nil, 1 << 20) } while count > 0
    guard count == 0, fsync(copy) == 0 else {
      unlink(target)
      return false
    }
    syncFolder()
    return true
  }

  private func copy(_ environment: OpaquePointer) -> StoreError? {
    let temporary = file + ".new"
    unlink(temporary)
    let target = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
    var code = target < 0 ? errno : mdb_env_copyfd2(environment, target, 0)
    if code == MDB_SUCCESS, fsync(target) < 0 { code = errno }
    if target >= 0 { close(target) }
    if code == MDB_SUCCESS, rename(temporary, file) < 0 { code = errno }
    guard code == MDB_SUCCESS else {
      unlink(temporary)
      return .failed(call: "checkpoint \(folder)", reason: StoreError.text(code))
    }
    syncFolder()
    return nil
  }

  private func syncFolder() {
    let handle = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard handle >= 0 else { return }
    fsync(handle)
    close(handle)
  }
}
