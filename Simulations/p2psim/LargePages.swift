// Memory in large pages.
//
// The nodes of a large network fill gigabytes, of which each event touches a few dozen lines here and there.
// With pages of 4 KiB the processor then looks for pages longer than for what is on them. So the heap is
// made as long as it will be before anything lies in it, and the kernel is asked to fill it with pages of
// 2 MiB. It is only asked: where it has none, everything is as before.

import Glibc

// Of <malloc.h>, which the module Glibc leaves out.
@_extern(c, "mallopt") private func mallopt(_ parameter: Int32, _ value: Int32) -> Int32
private let trimThreshold: Int32 = -1
private let mappedMax: Int32 = -4

/// The heap of a program that simulates many nodes.
enum LargePages {
  /// About what a node takes.
  private static let nodeBytes = 96 << 10
  /// Fewer nodes gain nothing.
  private static let nodesMin = 1_000

  /// Makes room for so many nodes. *Precondition:* no thread but this one allocates.
  static func reserve(nodes: Int) {
    guard nodes >= nodesMin else { return }
    let bytes = nodes * nodeBytes
    // The room comes from the heap itself, and stays there when it is given back.
    guard mallopt(mappedMax, 0) == 1, mallopt(trimThreshold, Int32.max) == 1 else { return }
    if let room = malloc(bytes) {
      let pageMask = UInt(2 << 20) - 1
      let begin = UnsafeMutableRawPointer(bitPattern: (UInt(bitPattern: room) + pageMask) & ~pageMask)
      madvise(begin, bytes - Int(pageMask), MADV_HUGEPAGE)
      free(room)
    }
    _ = mallopt(mappedMax, 65_536)
  }
}
