// Datagrams on their way.
//
// Every datagram in flight lies in a block of the smallest of six sizes that holds it, with a header of 24
// bytes in front; one of the sizes is for handshakes, most of what is in flight when a ring comes up. Blocks
// come from slabs and go back to a free list of their size, so that a long run settles at the memory of its
// busiest moment. The whole is bounded: a full arena takes no more, and counts that.

/// Where a datagram comes from and goes to; all underlays of a simulation are IPv4.
struct Flight: BitwiseCopyable {
  var source: SimEndpoint
  var destination: SimEndpoint
  /// The node that sent it.
  var sender: UInt32
  var length: UInt16
  /// Bit 0: it has come through the access link of its destination already.
  /// Bit 1: it is a frame of a connection. The destination names that, and the side that it goes to.
  var flags: UInt16

  static let isFrame: UInt16 = 2
}

/// Blocks of 128 to 2,048 bytes for datagrams in flight, addressed by 32-bit handles.
struct DatagramArena: ~Copyable {
  static let headerBytes = 24
  static let classes = 6
  /// The longest datagram that fits.
  static let payloadMax = 2_048 - headerBytes
  /// Blocks in a slab.
  private static let slabBlocks = 128
  private static let classShift: UInt32 = 29

  /// The most bytes of blocks.
  let bytesMax: Int
  private(set) var bytes = 0
  private(set) var inFlight = 0
  private(set) var peakInFlight = 0
  private(set) var refused: UInt64 = 0
  private var slabs: [[UnsafeMutableRawPointer]] = Array(repeating: [], count: classes)
  /// The first free block of each class; 0 is none. Handles begin at 1.
  private var free = [UInt32](repeating: 0, count: classes)
  private var used = [UInt32](repeating: 1, count: classes)

  init(bytesMax: Int) { self.bytesMax = bytesMax }

  deinit { for list in slabs { for slab in list { slab.deallocate() } } }

  /// A block for a datagram of `length` bytes; nil (and counted) when the arena is full or it is too long.
  mutating func take(length: Int) -> UInt32? {
    guard length <= Self.payloadMax else {
      refused &+= 1
      return nil
    }
    let size = Self.sizeClass(length + Self.headerBytes)
    var number = free[size]
    if number != 0 {
      free[size] = address(size, number).load(as: UInt32.self)
    } else {
      number = used[size]
      if Int(number) / Self.slabBlocks >= slabs[size].count {
        let slabBytes = Self.slabBlocks * Self.blockBytes(size)
        guard bytes + slabBytes <= bytesMax else {
          refused &+= 1
          return nil
        }
        bytes += slabBytes
        slabs[size].append(.allocate(byteCount: slabBytes, alignment: 128))
      }
      used[size] = number + 1
    }
    inFlight += 1
    if inFlight > peakInFlight { peakInFlight = inFlight }
    return UInt32(size) &<< Self.classShift | number
  }

  mutating func release(_ handle: UInt32) {
    let size = Int(handle &>> Self.classShift)
    let number = handle & ((1 &<< Self.classShift) - 1)
    address(size, number).storeBytes(of: free[size], as: UInt32.self)
    free[size] = number
    inFlight -= 1
  }

  /// The header of a datagram.
  func header(_ handle: UInt32) -> UnsafeMutablePointer<Flight> {
    block(handle).assumingMemoryBound(to: Flight.self)
  }

  /// The bytes of a datagram; `header(_:).pointee.length` of them.
  func payload(_ handle: UInt32) -> UnsafeMutableRawPointer { block(handle) + Self.headerBytes }

  private func block(_ handle: UInt32) -> UnsafeMutableRawPointer {
    address(Int(handle &>> Self.classShift), handle & ((1 &<< Self.classShift) - 1))
  }

  private func address(_ size: Int, _ number: UInt32) -> UnsafeMutableRawPointer {
    let place = Int(number) % Self.slabBlocks
    return slabs[size][Int(number) / Self.slabBlocks] + place &* Self.blockBytes(size)
  }

  /// 128, 256, 384, 512, 1,024 and 2,048 bytes.
  private static func blockBytes(_ size: Int) -> Int { size < 4 ? 128 &* (size + 1) : 1 &<< (size + 6) }

  private static func sizeClass(_ bytes: Int) -> Int {
    bytes <= 512 ? max(0, (bytes - 1) / 128) : bytes <= 1_024 ? 4 : 5
  }
}
