// How the program ends, and what it says when it does not end well.
//
// Scripts look at the exit code, people at the one line on stderr: what failed, why, and what to do about it.

import Glibc
import Platform

/// The exit codes, which are part of the contract with users.
enum ExitStatus: Int32, Sendable {
  case ok = 0
  case failed = 1
  case usage = 2
  case notRunning = 3
  case notPermitted = 4
  case timedOut = 5
  case notFound = 6
  case notReady = 7
}

/// An end that somebody has to be told about.
struct Failure: Error, Sendable {
  let status: ExitStatus
  /// One line without a full stop.
  let message: String
  /// The node was there, and ended before it answered.
  var isCutShort = false

  /// What is asked of a node that ends.
  static let leaving = Failure(.notRunning, "the node is leaving: ask again when it has been started anew")

  init(_ status: ExitStatus, _ message: String) {
    self.status = status
    self.message = message
  }

  /// An error of the border to the machine: what failed and why, then what to do.
  init(_ error: some ExplainedError, status: ExitStatus) {
    self.init(status, error.advice.isEmpty ? error.description : "\(error.description): \(error.advice)")
  }

  /// A failed system call; one that was not permitted has an exit code of its own.
  init(_ error: CallError) {
    self.init(error, status: error.code == EPERM || error.code == EACCES ? .notPermitted : .failed)
  }

  init(_ error: StateError) {
    if case .call(let call) = error {
      self.init(call)
    } else {
      self.init(error, status: .failed)
    }
  }
}

extension String {
  /// Writes the line to stderr.
  func toStandardError() {
    var line = self + "\n"
    line.withUTF8 { _ = Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
  }
}

/// Runs `body` and puts what the machine refused into words.
func explaining<Result>(_ body: () throws -> Result) throws(Failure) -> Result {
  do {
    return try body()
  } catch let failure as Failure {
    throw failure
  } catch let error as CallError {
    throw Failure(error)
  } catch let error as StateError {
    throw Failure(error)
  } catch let error as StoreError {
    throw Failure(error, status: .failed)
  } catch {
    throw Failure(.failed, String(describing: error))
  }
}
