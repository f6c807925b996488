// The files of the project, read from where this file was compiled.
import Glibc

enum Project {
  /// The root: three levels above this file.
  static let root: String = {
    let parts = #filePath.split(separator: "/").dropLast(3)
    return "/" + parts.joined(separator: "/")
  }()

  /// All Swift files under the folders, in the order of their paths.
  static func sources(under folders: [String]) -> [SourceText] {
    folders.flatMap { files(under: $0) }.filter { $0.hasSuffix(".swift") }.sorted().compactMap { path in
      contents(root + "/" + path).map { SourceText(path: path, text: $0) }
    }
  }

  static func files(under folder: String) -> [String] {
    guard let handle = opendir(root + "/" + folder) else { return [] }
    defer { closedir(handle) }
    var paths: [String] = []
    while let entry = readdir(handle) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name.hasPrefix(".") { continue }
      let path = folder + "/" + name
      let inside = files(under: path)
      paths += inside.isEmpty ? [path] : inside
    }
    return paths
  }

  static func contents(_ path: String) -> String? {
    guard let file = fopen(path, "re") else { return nil }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = fread(&block, 1, block.count, file)
      if count == 0 { break }
      bytes += block[..<count]
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
