import Glibc
import Platform
import Testing

@Suite struct StateDirectoryTests {
  private func mode(_ path: String) -> UInt32 {
    var status = stat()
    return stat(path, &status) == 0 ? status.st_mode & 0o777 : 0
  }

  private func write(_ path: String, _ text: String, mode: UInt32) throws {
    let file = try #require(fopen(path, "we"))
    fputs(text, file)
    fclose(file)
    chmod(path, mode)
  }

  @Test func directoryIsMadeForTheOwnerAlone() throws {
    let root = try TemporaryDirectory()
    let path = root.path + "/a/b/state"
    let state = try StateDirectory(path: path)
    #expect(state.path == path)
    #expect(mode(path) == 0o700)
    #expect(mode(root.path + "/a") == 0o700)
    #expect(mode(path + "/lock") == 0o600)
  }

  @Test func secondProcessIsToldWhoHasIt() throws {
    let root = try TemporaryDirectory()
    let state = try StateDirectory(path: root.path)
    do throws(StateError) {
      _ = try StateDirectory(path: root.path)
      Issue.record("opened twice")
    } catch {
      #expect(error == .inUse(path: root.path, process: getpid()))
      #expect(
        error.description == "state directory \(root.path) is in use by another p2pvpn (process \(getpid()))")
      #expect(error.advice.contains("--state"))
    }
    withExtendedLifetime(state) {}
  }

  @Test func lockGoesWithItsHolder() throws {
    let root = try TemporaryDirectory()
    for _ in 0..<3 { _ = try StateDirectory(path: root.path) }
  }

  @Test func fileIsReadBackAndReplacedAsAWhole() throws {
    let root = try TemporaryDirectory()
    let state = try StateDirectory(path: root.path)
    #expect(try state.read("incarnation") == nil)
    try state.writeFile("incarnation", Array("41".utf8))
    try state.writeFile("incarnation", Array("7".utf8))
    #expect(try state.read("incarnation") == Array("7".utf8))
    #expect(mode(root.path + "/incarnation") == 0o600)
    let long = (0..<100_000).map { UInt8(truncatingIfNeeded: $0) }
    try state.writeFile("long", long, mode: 0o644)
    #expect(try state.read("long") == long)
    #expect(mode(root.path + "/long") == 0o644)
    #expect(access(root.path + "/.long.new", F_OK) != 0)
  }

  @Test func leftoverOfAnInterruptedWriteDoesNotMatter() throws {
    let root = try TemporaryDirectory()
    let state = try StateDirectory(path: root.path)
    try state.writeFile("note", [1])
    try write(root.path + "/.note.new", "half", mode: 0o600)
    #expect(try state.read("note") == [1])
    try state.writeFile("note", [2])
    #expect(try state.read("note") == [2])
  }

  @Test func identityThatOthersMayReadIsRefused() throws {
    let root = try TemporaryDirectory()
    let state = try StateDirectory(path: root.path)
    #expect(try state.readIdentity() == nil)
    try state.writeFile(StateDirectory.identityName, [1, 2, 3])
    #expect(try state.readIdentity() == [1, 2, 3])
    chmod(root.path + "/identity", 0o644)
    do throws(StateError) {
      _ = try state.readIdentity()
      Issue.record("read")
    } catch {
      #expect(error == .exposed(path: root.path + "/identity", mode: 0o644))
      #expect(error.advice.contains("chmod go= \(root.path)/identity"))
    }
  }

  @Test func directoryThatOthersMayChangeIsRefused() throws {
    let root = try TemporaryDirectory()
    chmod(root.path, 0o777)
    #expect(throws: StateError.exposed(path: root.path, mode: 0o777)) { try StateDirectory(path: root.path) }
    chmod(root.path, 0o755)
    _ = try StateDirectory(path: root.path)
  }

  @Test func fileInTheWayIsSaidSo() throws {
    let root = try TemporaryDirectory()
    try write(root.path + "/file", "", mode: 0o600)
    do throws(StateError) {
      _ = try StateDirectory(path: root.path + "/file")
      Issue.record("opened")
    } catch {
      #expect(error.description == "open \(root.path)/file: Not a directory")
      #expect(!error.advice.isEmpty)
    }
  }

  @Test func linkInPlaceOfAFileIsNotFollowed() throws {
    let root = try TemporaryDirectory()
    let state = try StateDirectory(path: root.path)
    symlink("/etc/hostname", root.path + "/identity")
    #expect(throws: StateError.self) { try state.read("identity") }
  }

  @Test func oversizedFileIsRefused() throws {
    let root = try TemporaryDirectory()
    let state = try StateDirectory(path: root.path)
    try write(root.path + "/big", "", mode: 0o600)
    truncate(root.path + "/big", StateDirectory.fileBytesMax + 1)
    #expect(throws: StateError.oversized(path: root.path + "/big")) { try state.read("big") }
  }
}
