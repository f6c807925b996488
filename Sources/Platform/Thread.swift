// Threads for calls that block: name resolution, checkpoints of the store, connections of the local API.
import Glibc

private final class Work {
  let body: @Sendable () -> Void
  init(_ body: @escaping @Sendable () -> Void) { self.body = body }
}

/// Runs `body` on a thread of its own that nobody waits for. All signals are blocked there, so that they
/// reach the thread that reads them.
/// - Parameter stackBytes: of the thread; 0: as many as the system gives, which come into use as they are
///   touched.
public func detach(
  stackBytes: Int = 0, _ body: @escaping @Sendable () -> Void
) throws(CallError) {
  var thread = pthread_t()
  var attributes = pthread_attr_t()
  pthread_attr_init(&attributes)
  defer { pthread_attr_destroy(&attributes) }
  if stackBytes > 0 { pthread_attr_setstacksize(&attributes, stackBytes) }
  let work = Unmanaged.passRetained(Work(body))
  var all = sigset_t()
  var before = sigset_t()
  sigfillset(&all)
  pthread_sigmask(SIG_SETMASK, &all, &before)
  let result = pthread_create(
    &thread, &attributes,
    { argument in
      Unmanaged<Work>.fromOpaque(argument!).takeRetainedValue().body()
      return nil
    }, work.toOpaque())
  pthread_sigmask(SIG_SETMASK, &before, nil)
  guard result == 0 else {
    work.release()
    throw CallError("pthread_create", code: result, advice: "raise the limit of processes and threads")
  }
  pthread_detach(thread)
}
