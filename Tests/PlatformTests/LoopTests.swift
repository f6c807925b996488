// Clock, Entropy, EventLoop, Wakeup, SignalDescriptor, HostName, ProcessFacts, CallError.
import Base
import Glibc
import Synchronization
import Testing

@testable import Platform

@Suite struct ClockTests {
  @Test func timeNeverGoesBack() {
    var last = Clock.now()
    for _ in 0..<10_000 {
      let now = Clock.now()
      #expect(now >= last)
      last = now
    }
    #expect(last < .start + .minutes(600), "counts from the start of the process")
  }

  @Test func wallClockIsAfterThisWasWritten() { #expect(Clock.unixSeconds() > 1_700_000_000) }
}

@Suite struct EntropyTests {
  @Test func bytesDiffer() {
    #expect(Entropy.bytes(32).count == 32)
    #expect(Entropy.bytes(32) != Entropy.bytes(32))
    #expect(Entropy.bytes(0) == [])
    #expect(Set(Entropy.bytes(4_096)).count > 200)
  }
}

@Suite struct EventLoopTests {
  @Test func signalledDescriptorIsReported() throws {
    let loop = try EventLoop()
    let wakeup = try Wakeup()
    try loop.add(wakeup.fd, token: 77)
    var tokens: [UInt32] = []
    loop.wait(until: .start) { tokens.append($0) }
    #expect(tokens.isEmpty)
    wakeup.signal()
    wakeup.signal()
    loop.wait(until: .never) { tokens.append($0) }
    #expect(tokens == [77])
    wakeup.clear()
    loop.wait(until: .start) { tokens.append($0) }
    #expect(tokens == [77], "two signals are one, and cleared")
  }

  @Test func unreadDescriptorIsReportedAgain() throws {
    let loop = try EventLoop()
    let wakeup = try Wakeup()
    try loop.add(wakeup.fd, token: 1)
    wakeup.signal()
    var count = 0
    for _ in 0..<3 { loop.wait(until: .start) { _ in count += 1 } }
    #expect(count == 3)
    loop.remove(wakeup.fd)
    loop.wait(until: .start) { _ in count += 1 }
    #expect(count == 3)
  }

  @Test func waitEndsAtItsDeadlineAndNotBefore() throws {
    let loop = try EventLoop()
    for microseconds: UInt64 in [100, 1_500, 20_000] {
      let deadline = Clock.now() + .microseconds(microseconds)
      loop.wait(until: deadline) { _ in Issue.record("nothing is ready") }
      #expect(Clock.now() >= deadline)
    }
  }

  /// Such waits are ended by a timer that a suspended machine does not stop.
  @Test func longWaitEndsAtItsDeadlineToo() throws {
    let loop = try EventLoop()
    loop.longWait = .zero
    let wakeup = try Wakeup()
    try loop.add(wakeup.fd, token: 1)
    for microseconds: UInt64 in [1_500, 20_000, 1_500] {
      let deadline = Clock.now() + .microseconds(microseconds)
      loop.wait(until: deadline) { _ in Issue.record("nothing is ready") }
      #expect(Clock.now() >= deadline)
      // One that something ends, and another that its timer may end early.
      wakeup.signal()
      var tokens: [UInt32] = []
      loop.wait(until: Clock.now() + .milliseconds(5)) { tokens.append($0) }
      wakeup.clear()
      #expect(tokens == [1])
    }
    loop.longWait = .seconds(1)
    let begin = Clock.now()
    loop.wait(until: begin + .milliseconds(200)) { _ in Issue.record("nothing is ready") }
    let next = Clock.now()
    loop.wait(until: next + .milliseconds(10)) { _ in Issue.record("nothing is ready") }
    #expect(Clock.now() >= next + .milliseconds(10), "it fires once")
  }

  @Test func moreThanABatchIsReportedInTurns() throws {
    let loop = try EventLoop()
    let wakeups = try (0..<100).map { _ in try Wakeup() }
    for (i, wakeup) in wakeups.enumerated() {
      try loop.add(wakeup.fd, token: UInt32(i))
      wakeup.signal()
    }
    var seen: Set<UInt32> = []
    var turns = 0
    while seen.count < 100, turns < 10 {
      var count = 0
      loop.wait(until: .start) { token in
        count += 1
        seen.insert(token)
        wakeups[Int(token)].clear()
      }
      #expect(count <= EventLoop.batchMax)
      turns += 1
    }
    #expect(seen.count == 100)
  }

  @Test func anotherThreadEndsTheWait() throws {
    let loop = try EventLoop()
    let wakeup = try Wakeup()
    try loop.add(wakeup.fd, token: 5)
    try onThread { wakeup.signal() }
    var tokens: [UInt32] = []
    loop.wait(until: .never) { tokens.append($0) }
    #expect(tokens == [5])
  }

  @Test func descriptorThatIsNoneIsRefused() throws {
    let loop = try EventLoop()
    #expect(throws: CallError("epoll_ctl", code: EBADF)) { try loop.add(-1, token: 0) }
  }
}

@Suite struct SignalDescriptorTests {
  @Test func signalsAreReadInsteadOfDeadly() throws {
    try onThread {
      let signals = try SignalDescriptor()
      #expect(signals.next() == nil)
      // To this thread alone: another one of the test process does not block it.
      for signal in [SIGTERM, SIGINT, SIGHUP] {
        pthread_kill(pthread_self(), signal)
        #expect(isReadable(signals.fd))
        #expect(signals.next() == signal)
      }
      #expect(signals.next() == nil)
    }
  }
}

@Suite struct HostNameTests {
  private func answer(_ host: String) throws -> Result<[Endpoint], ResolveError> {
    let wakeup = try Wakeup()
    let box = Box()
    HostName.resolve(host, port: 7741) { result in
      box.result.withLock { $0 = result }
      wakeup.signal()
    }
    try #require(isReadable(wakeup.fd, within: 30_000))
    return try #require(box.result.withLock { $0 })
  }

  private final class Box: Sendable {
    let result = Mutex<Result<[Endpoint], ResolveError>?>(nil)
  }

  @Test(arguments: [
    ("192.0.2.1", "192.0.2.1:7741"), ("2001:db8::1", "[2001:db8::1]:7741"),
    ("[2001:db8::1]", "[2001:db8::1]:7741"),
  ])
  func addressIsAnsweredOnThisThread(_ host: String, _ endpoint: String) throws {
    let box = Box()
    HostName.resolve(host, port: 7741) { result in box.result.withLock { $0 = result } }
    let result = try #require(box.result.withLock { $0 })
    #expect(try result.get().map(\.description) == [endpoint])
  }

  @Test func localhostIsALoopbackAddress() throws {
    let endpoints = try answer("localhost").get()
    #expect(!endpoints.isEmpty)
    #expect(endpoints.allSatisfy { $0.address.isLoopback && $0.port == 7741 })
    #expect(Set(endpoints).count == endpoints.count)
  }

  @Test func unknownNameSaysWhatFailed() throws {
    // RFC 6761: names in "invalid" never exist. Without a name server the reason is another one.
    let result = try answer("nowhere.invalid")
    guard case .failure(let error) = result else {
      Issue.record("\(result)")
      return
    }
    #expect(error.description.hasPrefix("cannot resolve nowhere.invalid: "))
    #expect(!error.advice.isEmpty)
  }
}

@Suite struct ProcessFactsTests {
  /// In a process of its own: other tests take memory and give it back meanwhile.
  @Test func residentMemoryIsCounted() async {
    await #expect(processExitsWith: .success) {
      let before = try #require(ProcessFacts.residentBytes)
      try #require((1 << 20...1 << 34).contains(before))
      let block = UnsafeMutableRawPointer.allocate(byteCount: 32 << 20, alignment: 4_096)
      block.initializeMemory(as: UInt8.self, repeating: 1, count: 32 << 20)
      let after = try #require(ProcessFacts.residentBytes)
      try #require(after >= before + (16 << 20))
    }
  }
}

@Suite struct CallErrorTests {
  @Test func textSaysWhatFailedAndWhy() {
    let error = CallError("bind [::]:7741", code: EADDRINUSE)
    #expect(error.description == "bind [::]:7741: Address already in use")
    #expect(error.reason == "Address already in use")
  }
}
