// Randomness from the kernel: the seed of everything else that is random.
import CLinux
import Glibc

public enum Entropy {
  /// `count` bytes that nobody can predict. Waits, at boot, until the kernel has gathered enough.
  public static func bytes(_ count: Int) -> [UInt8] {
    precondition(count >= 0)
    return [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      while filled < count {
        let n = getrandom(buffer.baseAddress! + filled, count - filled, 0)
        precondition(n > 0 || errno == EINTR, "the kernel gives no randomness (getrandom)")
        filled += max(n, 0)
      }
    }
  }
}
