// Goal: a picture that is written into a file never costs a user another file, and what goes wrong is said in
// words that help.

import Base
import Glibc
import Testing

@testable import p2pvpn

/// A folder of its own, removed with what is in it.
private final class Folder {
  let path: String

  init() throws {
    var name = Array("/tmp/p2pvpn-test-XXXXXX".utf8CString)
    try #require(mkdtemp(&name) != nil)
    path = String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit {
    for name in names { unlink("\(path)/\(name)") }
    rmdir(path)
  }

  func put(_ name: String, _ text: String) {
    let file = open("\(path)/\(name)", O_WRONLY | O_CREAT | O_TRUNC, 0o644)
    _ = write(file, text, text.utf8.count)
    close(file)
  }

  func text(_ name: String) -> String {
    let file = open("\(path)/\(name)", O_RDONLY)
    defer { close(file) }
    var bytes = [UInt8](repeating: 0, count: 4_096)
    return String(decoding: bytes[..<max(0, read(file, &bytes, bytes.count))], as: UTF8.self)
  }

  func attributes(_ name: String) -> stat {
    var found = stat()
    lstat("\(path)/\(name)", &found)
    return found
  }

  /// What is in it.
  var names: [String] {
    guard let folder = opendir(path) else { return [] }
    defer { closedir(folder) }
    var names: [String] = []
    while let entry = readdir(folder) {
      let name = withUnsafeBytes(of: &entry.pointee.d_name) {
        String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
      }
      if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
  }
}

@Suite(.timeLimit(.minutes(10))) struct PictureFileTests {
  @Test func aFileIsReplacedWholeAndKeepsItsMode() throws {
    let folder = try Folder()
    folder.put("a.svg", "older and longer")
    folder.put("a.svg.part", "the user's own")
    chmod("\(folder.path)/a.svg", 0o640)
    let file = PictureFile(path: "\(folder.path)/a.svg")
    try file.check()
    #expect(folder.text("a.svg") == "older and longer", "a check changes nothing")
    try file.write("new")
    #expect(folder.text("a.svg") == "new" && folder.text("a.svg.part") == "the user's own")
    #expect(folder.attributes("a.svg").st_mode & 0o777 == 0o640)
    #expect(folder.names == ["a.svg", "a.svg.part"], "nothing is left behind")
  }

  @Test func aNewFileIsThereWithTheWholePicture() throws {
    let folder = try Folder()
    let file = PictureFile(path: "\(folder.path)/b.svg")
    try file.check()
    #expect(folder.names.isEmpty)
    try file.write("picture")
    #expect(folder.text("b.svg") == "picture" && folder.names == ["b.svg"])
  }

  @Test func aLinkStaysOneAndIsWrittenThrough() throws {
    let folder = try Folder()
    folder.put("meant", "older and longer")
    symlink("meant", "\(folder.path)/link")
    try PictureFile(path: "\(folder.path)/link").write("new")
    #expect(folder.attributes("link").st_mode & S_IFMT == S_IFLNK && folder.text("meant") == "new")
  }

  @Test func aDeviceStaysOne() throws {
    let before = Self.device()
    let file = PictureFile(path: "/dev/null")
    try file.check()
    try file.write("picture")
    #expect(before == Self.device())
  }

  private static func device() -> UInt64 {
    var found = stat()
    lstat("/dev/null", &found)
    return UInt64(found.st_rdev) << 32 | UInt64(found.st_mode)
  }

  @Test func aPipeStaysOneAndHasThePicture() throws {
    let folder = try Folder()
    let path = "\(folder.path)/pipe"
    mkfifo(path, 0o600)
    let reader = open(path, O_RDONLY | O_NONBLOCK)
    defer { close(reader) }
    try PictureFile(path: path).write("picture")
    var bytes = [UInt8](repeating: 0, count: 64)
    let count = read(reader, &bytes, bytes.count)
    #expect(String(decoding: bytes[..<max(0, count)], as: UTF8.self) == "picture")
    #expect(folder.attributes("pipe").st_mode & S_IFMT == S_IFIFO)
  }

  @Test func whereNothingCanBeWrittenIsSaidBefore() throws {
    let folder = try Folder()
    folder.put("file", "")
    symlink("nowhere", "\(folder.path)/dangling")
    for (path, words) in [
      (folder.path, "name a file in it"), ("\(folder.path)/none/a.svg", "make the folder first"),
      ("\(folder.path)/file/a.svg", "make the folder first"), ("/proc/a.svg", "write /proc/a.svg"),
      ("\(folder.path)/dangling", "write"),
    ] {
      let file = PictureFile(path: path)
      #expect { try file.write("picture") } throws: {
        ($0 as? Failure)?.message.contains(words) == true
      }
      if path.hasPrefix("/proc") { continue }
      #expect { try file.check() } throws: { ($0 as? Failure)?.message.contains(words) == true }
    }
    #expect(folder.names == ["dangling", "file"])
  }
}
