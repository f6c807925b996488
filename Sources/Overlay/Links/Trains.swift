// Data of communities without slots: records that are sealed to where they leave from, and opened to where
// the device reads them. Only what is the rule goes this way (a proven endpoint, a session that is up, whole
// packets); all else goes by `Sending` and `Receiving`.

import Base
import Session

/// An endpoint at which a peer takes many records at once.
public struct TrainWay: Sendable, BitwiseCopyable {
  public let endpoint: Endpoint
  /// Bytes of the largest packet of which a record gets through.
  public let packetBytesMax: Int
  /// Whether the peer understands what a record says of its packet's checksum.
  public let takesHints: Bool
  let session: SessionID
  let path: Int
}

/// What a record was that was opened elsewhere than where it came in.
public enum OpenedRecord: Sendable, BitwiseCopyable {
  /// A whole packet of a community, of a peer whose session is up.
  case data(peer: Int, Opened)
  /// Something else: to be handed to `receive(opened:…)`.
  case other(Opened)
  /// Nothing was opened: it is for `receive`.
  case notOpened
  case dropped
}

extension Links {
  /// The way that trains to a peer take now; nil when packets go one by one.
  public func trainWay(to slot: Int) -> TrainWay? {
    guard peers.isUsed(slot), let index = peers[slot].best, let session = peers[slot].session,
      let path = peers[slot].paths[index], case .endpoint(let endpoint) = path.way, endpoint.socket == .main
    else { return nil }
    return TrainWay(
      endpoint: endpoint, packetBytesMax: Int(path.size) - SessionTable.overhead,
      takesHints: sessions.capabilities(of: session).contains(.offload), session: session, path: index)
  }

  /// Makes a record of a packet.
  /// - Parameters:
  ///   - text: four bytes that are written here, then the packet.
  ///   - datagram: where the record goes.
  /// - Returns: false when there are no keys that may seal.
  public mutating func seal(
    _ text: Frame, content: UInt8, offload: UInt16, _ way: TrainWay, into datagram: Frame
  ) -> Bool {
    let result = sessions.seal(
      way.session, space: UInt8(1 + way.path), content: content, offload: offload, text: text, into: datagram)
    if case .sealed = result { return true }
    counters.noWay &+= 1
    return false
  }

  /// So many bytes of packets went to the peer.
  public mutating func noteSent(_ bytes: Int, to slot: Int, _ way: TrainWay, _ now: Instant) {
    noteSent(bytes, slot, way.path, now)
  }

  /// Opens a record of a data space, as it came from an endpoint.
  /// - Parameter text: where its four bytes and its packet go: 28 bytes less than the datagram.
  public mutating func open(
    _ datagram: Frame, into text: Frame, from endpoint: Endpoint, _ context: inout Context
  ) -> OpenedRecord {
    switch sessions.open(datagram, into: text, at: context.now) {
    case .dropped: return .dropped
    case .unknownIndex: return .notOpened
    case .opened(let opened):
      guard !opened.confirmed, opened.content >= Content.communities,
        opened.content & ~Content.classMask == 0,
        let slot = bySession[opened.session.slot].map(Int.init), peers.isUsed(slot), peers[slot].isUp
      else { return .other(opened) }
      note(slot, from: .endpoint(endpoint), &context)
      return .data(peer: slot, opened)
    }
  }
}
