// Which records of one counter space have come already, after RFC 6479: a bitmap that moves in whole words,
// so that moving it clears words and shifts nothing.
//
// The window holds 8,192 numbers behind the greatest that came: what a quick path may reorder. That of the
// control space, which every session has and few records use, holds 1,024. One more word than that takes
// makes it exact.
// The window is asked before a record is opened and told only after, or forged numbers would move it.

import Base

/// The head of a window; the words of its bitmap follow it in the same block of memory.
struct ReplayWindow: BitwiseCopyable {
  /// How many numbers behind the greatest one are told apart.
  var size: UInt64 {
    @_noAllocation @_noLocks get { space == 0 ? 1_024 : 8_192 }
  }
  fileprivate var words: UInt64 {
    @_noAllocation @_noLocks get { space == 0 ? 17 : 129 }
  }

  /// The place of a word of numbers in the bitmap. Divisors that the compiler knows cost no division.
  @_noAllocation @_noLocks
  fileprivate func place(_ word: UInt64) -> Int {
    Int(truncatingIfNeeded: space == 0 ? word % 17 : word % 129)
  }

  /// Bytes of the head and its bitmap.
  var blockBytes: Int { MemoryLayout<ReplayWindow>.stride + Int(words) * 8 }

  let space: UInt8
  /// One more than the greatest number that came.
  fileprivate(set) var end: UInt64 = 0
  /// The window of another space of the same keys.
  let next: UnsafeMutablePointer<ReplayWindow>?

  private init(space: UInt8, next: UnsafeMutablePointer<ReplayWindow>?) {
    self.space = space
    self.next = next
  }

  static func allocate(space: UInt8, next: UnsafeMutablePointer<ReplayWindow>?) -> UnsafeMutablePointer<
    ReplayWindow
  > {
    let head = ReplayWindow(space: space, next: next)
    let block = UnsafeMutableRawPointer.allocate(byteCount: head.blockBytes, alignment: 16)
    (block + MemoryLayout<ReplayWindow>.stride).initializeMemory(
      as: UInt64.self, repeating: 0, count: Int(head.words))
    let window = block.bindMemory(to: ReplayWindow.self, capacity: 1)
    window.initialize(to: head)
    return window
  }
}

extension UnsafeMutablePointer<ReplayWindow> {
  private var bitmap: UnsafeMutablePointer<UInt64> {
    @_noAllocation @_noLocks get {
      (UnsafeMutableRawPointer(self) + MemoryLayout<ReplayWindow>.stride).assumingMemoryBound(to: UInt64.self)
    }
  }

  /// Whether a record with this number would be new.
  @_noAllocation @_noLocks
  func admits(_ sequence: UInt64) -> Bool {
    if sequence >= pointee.end { return true }
    if pointee.end &- sequence > pointee.size { return false }
    return bitmap[pointee.place(sequence / 64)] & (1 &<< (sequence & 63))
      == 0
  }

  /// Remembers an authentic record. *Precondition:* `admits(sequence)`.
  @_noAllocation @_noLocks
  func mark(_ sequence: UInt64) {
    let words = pointee.words
    let word = sequence / 64
    if sequence >= pointee.end {
      var fresh = pointee.end == 0 ? 0 : (pointee.end &- 1) / 64 &+ 1
      if word >= words, fresh < word &- (words &- 1) {
        fresh = word &- (words &- 1)
      }
      while fresh <= word {
        bitmap[pointee.place(fresh)] = 0
        fresh &+= 1
      }
      pointee.end = sequence &+ 1
    }
    bitmap[pointee.place(word)] |= 1 &<< (sequence & 63)
  }
}
