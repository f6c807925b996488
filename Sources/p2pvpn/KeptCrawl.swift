// A crawl that is over, kept for those who ask for its nodes and its picture. Judging a large ring and
// drawing it take time, so both are done once, by the first thread of the local API that needs them; the loop
// never waits for that.

import Base
import Node
import Synchronization

/// What a crawl has found, and what was made of it.
final class KeptCrawl: Sendable {
  enum Form: Sendable {
    case svg
    case dot
  }

  /// The largest part of a picture in an answer, in bytes. Escapes make it six times as long at most.
  static let partBytesMax = 512 << 10

  private struct Made {
    var report: CrawlReport?
    /// The one that was asked for last.
    var picture: (form: Form, bytes: [UInt8])?
  }

  let number: UInt32
  let result: CrawlResult
  private let made = Mutex(Made())

  init(_ number: UInt32, _ result: CrawlResult) {
    self.number = number
    self.result = result
  }

  var report: CrawlReport { made.withLock { report(&$0) } }

  private func report(_ made: inout Made) -> CrawlReport {
    if let report = made.report { return report }
    let report = CrawlReport(result)
    made.report = report
    return report
  }

  /// A part of a picture, and where the next one begins; nil: there is no other.
  /// - Parameter start: in bytes from its beginning.
  func picture(_ form: Form, from start: Int) -> (part: String, next: Int?) {
    let bytes = made.withLock { made in
      if let picture = made.picture, picture.form == form { return picture.bytes }
      let report = report(&made)
      let bytes = Array((form == .svg ? CrawlDrawing(report).svg : report.dot).utf8)
      made.picture = (form, bytes)
      return bytes
    }
    return Self.cut(bytes, from: start, atMost: Self.partBytesMax)
  }

  /// A part of a text that breaks no character in two if `start` does not.
  static func cut(_ bytes: [UInt8], from start: Int, atMost limit: Int) -> (part: String, next: Int?) {
    let start = min(max(start, 0), bytes.count)
    var end = min(bytes.count, start + limit)
    while end < bytes.count, end > start, bytes[end] & 0xC0 == 0x80 { end -= 1 }
    return (String(decoding: bytes[start..<end], as: UTF8.self), end < bytes.count ? end : nil)
  }
}

/// Crawls that were made of late: few, and each for a while after its last use.
struct KeptCrawls {
  static let countMax = 2
  static let keptFor = Interval.seconds(60)

  private var entries: [(crawl: KeptCrawl, until: Instant)] = []

  /// When the first of them is forgotten.
  var nextAt: Instant { entries.reduce(.never) { min($0, $1.until) } }

  /// Keeps one, in the place of the one that was least recently used if there are too many.
  mutating func keep(_ crawl: KeptCrawl, at now: Instant) {
    if entries.count == Self.countMax { entries.removeFirst() }
    entries.append((crawl, now + Self.keptFor))
  }

  /// The crawl of this number, which is kept for longer now that it is used.
  mutating func use(_ number: UInt32, at now: Instant) -> KeptCrawl? {
    forget(at: now)
    guard let i = entries.firstIndex(where: { $0.crawl.number == number }) else { return nil }
    let crawl = entries.remove(at: i).crawl
    entries.append((crawl, now + Self.keptFor))
    return crawl
  }

  /// Lets go of those whose time is over.
  mutating func forget(at now: Instant) { entries.removeAll { $0.until <= now } }
}
