// Alarms: what is due for a peer stays due, whatever answers come meanwhile.

import Base
import Testing

@testable import Overlay

@Suite struct AlarmTests {
  private func moment(_ seconds: UInt64) -> Instant { .start + .seconds(seconds) }

  @Test func answerLeavesWhatWasDueLater() {
    var alarms = Alarms()
    alarms.expect(3, until: moment(5))
    alarms.add(3, at: moment(9))
    #expect(alarms[3] == moment(5) && alarms.first == moment(5))
    alarms.expect(3, until: .never)
    #expect(alarms[3] == moment(9) && alarms.first == moment(9))
    alarms.add(3, at: moment(12))
    #expect(alarms[3] == moment(9), "the sooner one stays")
    #expect(alarms.first(upTo: moment(8), below: 10) == nil && alarms.first(upTo: moment(9), below: 10) == 3)
    alarms.clear(3)
    #expect(alarms[3] == .never && alarms[7] == .never)
  }
}
