// The byte layout of rtnetlink: a header, a fixed body, attributes; everything aligned to four bytes
// (netlink(7)).
import CLinux
import Glibc

/// A request under construction.
struct NetlinkMessage {
  private(set) var bytes: [UInt8]

  init<Body: BitwiseCopyable>(type: Int32, flags: Int32, body: Body) {
    var header = nlmsghdr()
    header.nlmsg_type = UInt16(type)
    header.nlmsg_flags = UInt16(flags)
    bytes = []
    append(header)
    append(body)
  }

  mutating func attribute(_ type: UInt32, _ value: [UInt8]) {
    bytes += Self.nested(type, value)
  }

  /// An attribute as the value of another one.
  static func nested(_ type: UInt32, _ value: [UInt8]) -> [UInt8] {
    let header = rtattr(rta_len: UInt16(MemoryLayout<rtattr>.size + value.count), rta_type: UInt16(type))
    let bytes = withUnsafeBytes(of: header) { Array($0) } + value
    return bytes + [UInt8](repeating: 0, count: -bytes.count & 3)
  }

  mutating func attribute(_ type: UInt32, _ value: UInt32) {
    attribute(type, withUnsafeBytes(of: value) { Array($0) })
  }

  /// The finished message, with its length and `sequence` filled in.
  consuming func finished(sequence: UInt32) -> [UInt8] {
    let length = UInt32(bytes.count)
    bytes.withUnsafeMutableBytes {
      $0.storeBytes(of: length, toByteOffset: 0, as: UInt32.self)
      $0.storeBytes(of: sequence, toByteOffset: 8, as: UInt32.self)
    }
    return bytes
  }

  private mutating func append<T: BitwiseCopyable>(_ value: T) {
    withUnsafeBytes(of: value) { bytes += $0 }
    pad()
  }

  private mutating func pad() {
    while !bytes.count.isMultiple(of: 4) { bytes.append(0) }
  }
}

/// A received message: its type and the bytes behind its header.
struct NetlinkReply {
  let type: Int32
  let sequence: UInt32
  let wasInterrupted: Bool
  let body: UnsafeRawBufferPointer

  /// The fixed part of the body; nil when the message is too short for it.
  func fixed<T: BitwiseCopyable>(_: T.Type) -> T? {
    body.count >= MemoryLayout<T>.size ? body.loadUnaligned(as: T.self) : nil
  }

  /// Calls `visit` with type and value of each attribute behind a fixed part of type `T`.
  func attributes<T>(after _: T.Type, _ visit: (UInt32, UnsafeRawBufferPointer) -> Void) {
    var at = (MemoryLayout<T>.size + 3) & ~3
    while at + 4 <= body.count {
      let length = Int(body.loadUnaligned(fromByteOffset: at, as: UInt16.self))
      let type = body.loadUnaligned(fromByteOffset: at + 2, as: UInt16.self)
      guard length >= 4, at + length <= body.count else { return }
      visit(UInt32(type & 0x3FFF), UnsafeRawBufferPointer(rebasing: body[(at + 4)..<(at + length)]))
      at += (length + 3) & ~3
    }
  }

  /// Calls `visit` with each message in `buffer`, until it returns false.
  static func split(_ buffer: UnsafeRawBufferPointer, _ visit: (NetlinkReply) -> Bool) {
    let headerBytes = MemoryLayout<nlmsghdr>.size
    var at = 0
    while at + headerBytes <= buffer.count {
      let header = buffer.loadUnaligned(fromByteOffset: at, as: nlmsghdr.self)
      let length = Int(header.nlmsg_len)
      guard length >= headerBytes, at + length <= buffer.count else { return }
      let reply = NetlinkReply(
        type: Int32(header.nlmsg_type), sequence: header.nlmsg_seq,
        wasInterrupted: Int32(header.nlmsg_flags) & NLM_F_DUMP_INTR != 0,
        body: UnsafeRawBufferPointer(rebasing: buffer[(at + headerBytes)..<(at + length)]))
      guard visit(reply) else { return }
      at += (length + 3) & ~3
    }
  }
}
