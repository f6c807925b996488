// The machine that p2psim runs on: its clock, its memory, its files.

import Glibc
import Scenarios

enum HostMachine {
  static func machine() -> Machine { Machine(wallSeconds: wallSeconds, peakBytes: peakBytes) }

  private static func wallSeconds() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  private static func peakBytes() -> UInt64 {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    return UInt64(max(usage.ru_maxrss, 0)) * 1_024
  }

  /// The text of a file; at most 64 MiB.
  static func read(_ path: String) throws -> String {
    guard let file = fopen(path, "r") else {
      throw Failure(message: "cannot read \(path): \(reason())", code: 2)
    }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var part = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = fread(&part, 1, part.count, file)
      if count == 0 { break }
      bytes += part[..<count]
      guard bytes.count <= 1 << 26 else { throw Failure(message: "\(path) has more than 64 MiB", code: 2) }
    }
    guard ferror(file) == 0 else { throw Failure(message: "cannot read \(path): \(reason())", code: 2) }
    return String(decoding: bytes, as: UTF8.self)
  }

  static func write(_ text: String, to path: String) throws {
    guard let file = fopen(path, "w") else { throw Failure(message: "cannot write \(path): \(reason())") }
    let bytes = Array(text.utf8)
    let count = fwrite(bytes, 1, bytes.count, file)
    guard fclose(file) == 0, count == bytes.count else {
      throw Failure(message: "cannot write \(path): \(reason())")
    }
  }

  /// Files of a folder whose names end so, by name.
  static func files(in folder: String, ending: String) throws -> [String] {
    guard let directory = opendir(folder) else {
      throw Failure(message: "cannot read \(folder): \(reason())", code: 2)
    }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name.hasSuffix(ending) { names.append("\(folder)/\(name)") }
    }
    return names.sorted()
  }

  static func schedule(_ path: String) throws -> Schedule {
    do {
      return try Schedule(text: try read(path))
    } catch let error as ScheduleError {
      throw Failure(message: "\(path), \(error)", code: 2)
    }
  }

  private static func reason() -> String { String(cString: strerror(errno)) }
}
