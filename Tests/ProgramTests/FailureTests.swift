// Goal: each way to fail has its exit code, and its one line says what failed, why, and what to do about it.

import Glibc
import Platform
import Testing

@testable import p2pvpn

@Suite struct FailureTests {
  @Test func exitCodesAreThoseOfTheContract() {
    let codes: [(p2pvpn.ExitStatus, Int32)] = [
      (.ok, 0), (.failed, 1), (.usage, 2), (.notRunning, 3), (.notPermitted, 4), (.timedOut, 5),
      (.notFound, 6),
      (.notReady, 7),
    ]
    for (status, code) in codes { #expect(status.rawValue == code) }
    #expect(p2pvpn.ExitStatus(rawValue: 8) == nil)
    for code in 0...7 {
      #expect(Program.configuration.discussion.contains("\(code) "), "the help names \(code)")
    }
  }

  @Test func errorsOfTheMachineHaveTheirCodes() {
    #expect(Failure(CallError("open x", code: EPERM)).status == .notPermitted)
    #expect(Failure(CallError("open x", code: EACCES)).status == .notPermitted)
    #expect(Failure(CallError("open x", code: ENOENT)).status == .failed)
    #expect(Failure(StateError.call(CallError("open x", code: EACCES))).status == .notPermitted)
    #expect(Failure(StateError.exposed(path: "x", mode: 0o644)).status == .failed)
    #expect(Failure(StateError.inUse(path: "x", process: 3)).status == .failed)
  }

  @Test func theLineSaysWhatWhyAndWhatToDo() {
    let failure = Failure(CallError("bind :1", code: EADDRINUSE, advice: "choose another port"))
    #expect(failure.message == "bind :1: Address already in use: choose another port")
    #expect(Failure(CallError("bind :1", code: EADDRINUSE)).message == "bind :1: Address already in use")
  }

  @Test func whateverIsThrownIsExplained() {
    func thrown(_ error: any Error) -> Failure? {
      do throws(Failure) {
        try explaining { throw error }
        return nil
      } catch {
        return error
      }
    }
    struct Odd: Error {}
    #expect(thrown(Failure(.notReady, "so"))?.status == .notReady)
    #expect(thrown(CallError("c", code: EPERM))?.status == .notPermitted)
    #expect(thrown(StateError.oversized(path: "p"))?.message.hasPrefix("p is longer") == true)
    #expect(thrown(StoreError.full(path: "p"))?.status == .failed)
    #expect(thrown(Odd())?.status == .failed)
  }

  @Test func aNodeThatIsNotThereIsNotRunning() {
    let client = ControlClient(path: "/tmp/p2pvpn-no-such-folder/api.sock")
    #expect { try client.call("status") } throws: { ($0 as? Failure)?.status == .notRunning }
    let long = ControlClient(path: "/" + String(repeating: "a", count: 200))
    #expect { try long.call("status") } throws: { ($0 as? Failure)?.status == .usage }
  }

  @Test func concernsAreThereOnceAndInTheOrderTheyBegan() {
    var concerns = Concerns()
    concerns.set(.alone, "alone")
    concerns.set(.port, "port")
    concerns.set(.alone, "still alone")
    #expect(concerns.texts == ["still alone", "port"])
    concerns.set(.port, "another port")
    #expect(concerns.has(.port) && !concerns.has(.ipv6))
    #expect(concerns.texts == ["still alone", "another port"])
    concerns.clear(.alone)
    #expect(concerns.texts == ["another port"])
  }
}
