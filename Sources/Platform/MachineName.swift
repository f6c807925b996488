// What the machine is called (gethostname(2)).

import Glibc

public enum MachineName {
  /// Linux's own limit is 64 bytes.
  private static let bytesMax = 256

  /// The first label of the machine's name; nil when the system does not say.
  public static func label() -> String? {
    var bytes = [CChar](repeating: 0, count: bytesMax)
    guard gethostname(&bytes, bytes.count - 1) == 0 else { return nil }
    let name = bytes.prefix { $0 != 0 && $0 != CChar(bitPattern: UInt8(ascii: ".")) }
    return name.isEmpty ? nil : String(decoding: name.map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
