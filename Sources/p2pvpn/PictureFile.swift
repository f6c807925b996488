// A picture in a file that the user has named.

import Glibc
import Platform

enum PictureFile {
  /// Replaces the file only when all of the picture is written.
  static func write(_ picture: String, to path: String) throws(Failure) {
    let part = path + ".part"
    guard let file = fopen(part, "w") else {
      throw Failure(CallError("write \(path)", code: errno, advice: "choose another place for the picture"))
    }
    let isWritten = fputs(picture, file) >= 0
    guard fclose(file) == 0, isWritten, rename(part, path) == 0 else {
      let code = errno
      unlink(part)
      throw Failure(CallError("write \(path)", code: code, advice: "is there room for the picture?"))
    }
  }
}
