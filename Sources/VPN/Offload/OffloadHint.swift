// The two bytes in a record by which a member says what its kernel left undone.
//
// | bit | meaning |
// | --- | --- |
// | 0 | the transport checksum is partial: its field stands for the pseudo-header's sum |
// | 1 | the packet is one of a TCP train |
// | 2 | the packet is one of a UDP train |
//
// The other bits are zero. The hint allows, it never describes: it has no offset, no length and no type. A
// packet of a train always has a partial sum, because no kernel makes a train without one, and no kernel
// takes one.

/// The bits of the hint, and where they are legal.
public enum OffloadHint {
  public static let partial: UInt16 = 1
  public static let tcpTrain: UInt16 = 2
  public static let udpTrain: UInt16 = 4

  /// Whether a hint means something at all: no spare bit, not two kinds of train, no train with a full sum.
  static func isSound(_ hint: UInt16) -> Bool {
    switch hint {
    case 0, partial, partial | tcpTrain, partial | udpTrain: true
    default: false
    }
  }

  /// Whether a sound hint fits the packet's protocol.
  static func fits(_ hint: UInt16, _ header: InnerHeader) -> Bool {
    (hint & tcpTrain == 0 || header.isTCP) && (hint & udpTrain == 0 || header.isUDP)
  }
}
