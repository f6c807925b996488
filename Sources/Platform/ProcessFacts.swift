// What the process costs the machine, as the kernel counts it.
import Glibc

public enum ProcessFacts {
  /// The memory that is in RAM now, in bytes; nil when /proc is not there.
  public static var residentBytes: UInt64? {
    guard let file = fopen("/proc/self/statm", "re") else { return nil }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 128)
    guard fgets(&line, Int32(line.count), file) != nil else { return nil }
    let fields = line.prefix { $0 != 0 }.split(separator: CChar(UInt8(ascii: " ")))
    guard fields.count > 1, let pages = UInt64(String(decoding: fields[1].map(UInt8.init), as: UTF8.self))
    else {
      return nil
    }
    return pages * UInt64(sysconf(Int32(_SC_PAGESIZE)))
  }

  public static var isRoot: Bool { geteuid() == 0 }
}
