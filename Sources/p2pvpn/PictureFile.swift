// A picture in a file that the user has named: written beside it and put in its place, so that there is never
// half a picture. What is no regular file (a pipe, a device, a link) stays what it is and is written to.

import Base
import Glibc
import Platform

/// A place for a picture.
struct PictureFile {
  /// As it was typed; `-` is standard output.
  let path: String

  var isStandardOutput: Bool { path == "-" }

  /// What is there already.
  private enum Present {
    case nothing
    case regular(mode: mode_t)
    /// Links are followed if they are the user's or root's.
    case other(isLink: Bool)
  }

  /// Finds out whether a picture can be written there, before anybody works for it.
  func check() throws(Failure) {
    guard !isStandardOutput else { return }
    switch try present() {
    case .nothing, .regular: if access(folder, W_OK | X_OK) != 0 { throw failure(errno) }
    case .other: if access(path, W_OK) != 0 { throw failure(errno) }
    }
  }

  func write(_ picture: String) throws(Failure) {
    if isStandardOutput { return print(picture, terminator: "") }
    switch try present() {
    case .nothing: try replace(with: picture, mode: nil)
    case .regular(let mode): try replace(with: picture, mode: mode)
    case .other(let isLink):
      let file = open(path, O_WRONLY | O_TRUNC | O_NOCTTY | O_CLOEXEC | (isLink ? 0 : O_NOFOLLOW))
      guard file >= 0 else { throw failure(errno) }
      let code = Self.fill(file, with: picture)
      guard close(file) == 0, code == 0 else { throw failure(code == 0 ? errno : code) }
    }
  }

  private func present() throws(Failure) -> Present {
    var found = stat()
    guard lstat(path, &found) == 0 else {
      if errno == ENOENT { return .nothing }
      throw failure(errno)
    }
    switch found.st_mode & S_IFMT {
    case S_IFREG:
      guard access(path, W_OK) == 0 else { throw failure(errno) }
      return .regular(mode: found.st_mode & 0o777)
    case S_IFDIR: throw failure(EISDIR)
    case S_IFLNK:
      guard found.st_uid == geteuid() || found.st_uid == 0 else {
        throw Failure(.notPermitted, "\(path) is somebody else's link: name the file that is meant")
      }
      return .other(isLink: true)
    default: return .other(isLink: false)
    }
  }

  /// - Parameter mode: of the file that is replaced; nil: what the user's umask wants.
  private func replace(with picture: String, mode: mode_t?) throws(Failure) {
    let (part, file) = try temporary()
    if let mode { fchmod(file, mode) }
    var code = Self.fill(file, with: picture)
    if close(file) != 0, code == 0 { code = errno }
    if code == 0, rename(part, path) != 0 { code = errno }
    guard code == 0 else {
      unlink(part)
      throw failure(code)
    }
  }

  /// A new file beside the one that is meant.
  private func temporary() throws(Failure) -> (path: String, file: Int32) {
    var tries = 8
    while true {
      let part = "\(folder)/.p2pvpn-\(Hex.string(UInt64.random(in: 0 ... .max), digits: 16))"
      let file = open(part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o666)
      if file >= 0 { return (part, file) }
      tries -= 1
      guard errno == EEXIST, tries > 0 else { throw failure(errno) }
    }
  }

  private var folder: String {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  /// - Returns: 0, or the errno.
  private static func fill(_ file: Int32, with picture: String) -> Int32 {
    var rest = Array(picture.utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return errno }
      rest = rest.dropFirst(count)
    }
    return 0
  }

  private func failure(_ code: Int32) -> Failure {
    let advice =
      switch code {
      case EISDIR: "name a file in it"
      case ENOENT, ENOTDIR: "make the folder first, or choose another place"
      case EACCES, EPERM, EROFS: "choose a place where you may write"
      case ENOSPC, EDQUOT: "is there room for the picture?"
      default: "choose another place for the picture"
      }
    return Failure(CallError("write \(path)", code: code, advice: advice))
  }
}
