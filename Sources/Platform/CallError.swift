// What can go wrong at the border to the machine, in words for people.
//
// An error of this module says what failed and why (`description`), and what to do about it (`advice`). It is
// thrown for failures of set-up and storage; what goes wrong with a single datagram is counted, not thrown.
import Glibc

/// An error that tells a person what failed, why, and what to do.
public protocol ExplainedError: Error, CustomStringConvertible, Sendable {
  /// What to do about it, as a sentence without a full stop; empty when there is nothing particular to say.
  var advice: String { get }
}

/// A system call that failed.
public struct CallError: ExplainedError, Equatable {
  /// The call, and what it was about: `bind [::]:7741`.
  public let call: String
  /// The errno.
  public let code: Int32
  public let advice: String

  public init(_ call: String, code: Int32, advice: String = "") {
    self.call = call
    self.code = code
    self.advice = advice
  }

  /// The reason alone: `Address already in use`.
  public var reason: String { Self.text(code) }

  /// `bind [::]:7741: Address already in use`
  public var description: String { "\(call): \(reason)" }

  static func text(_ code: Int32) -> String { strerror(code).map { String(cString: $0) } ?? "error \(code)" }
}

/// The result of a C library call that reports failure as −1 and errno.
@discardableResult
func checked(
  _ result: Int32, _ call: @autoclosure () -> String, advice: (Int32) -> String = { _ in "" }
) throws(CallError) -> Int32 {
  if result >= 0 { return result }
  let code = errno
  throw CallError(call(), code: code, advice: advice(code))
}

/// The result of a `CLinux` call, which reports failure as the negated errno.
@discardableResult
func checkedNegated(
  _ result: Int32, _ call: @autoclosure () -> String, advice: (Int32) -> String = { _ in "" }
) throws(CallError) -> Int32 {
  if result >= 0 { return result }
  throw CallError(call(), code: -result, advice: advice(-result))
}
