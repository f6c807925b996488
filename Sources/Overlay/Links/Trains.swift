// Data of communities without slots: records that are sealed to where they leave from, opened to where the
// device reads them, or passed on where they stand. Only what is the rule goes this way (a proven endpoint or
// a circuit, a session that is up, whole packets); all else goes by `Sending` and `Receiving`.

import Base
import Session

/// A way on which a peer takes many records at once.
public struct TrainWay: Sendable, BitwiseCopyable {
  /// Where datagrams go: to the peer, or to the relay of a circuit.
  public let endpoint: Endpoint
  /// Bytes of the largest packet of which a record gets through.
  public let packetBytesMax: Int
  /// Whether the peer understands what a record says of its packet's checksum.
  public let takesHints: Bool
  let session: SessionID
  let path: Int
  /// Of a circuit: the label, and the place of the relay's link and of its path.
  let circuit: (label: UInt32, relay: Int, path: Int?)?

  /// Whether a mark of congestion on the outer header reaches the peer: relays may not pass it on.
  public var keepsMarks: Bool { takesHints && circuit == nil }

  /// What stands before each record.
  private var prefixBytes: Int { circuit == nil ? 0 : CircuitHeader.byteCount }
  /// What a datagram has beside the four bytes and the packet of its record.
  public var datagramOverhead: Int { prefixBytes + Links.recordOverhead }
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

/// What became of the datagrams at the beginning of a run, at a relay.
public enum RunForwarding: Sendable, BitwiseCopyable {
  /// They are none of a circuit that is relayed here, or it is for `receive` to say why they go no further.
  case notForwarded
  /// As many bytes are to be sent on as they stand.
  case onward(bytes: Int, to: Endpoint)
  /// The first one goes no further: it is counted.
  case dropped(bytes: Int)
}

extension Links {
  /// What a record adds to the four bytes and the packet that it seals.
  public static let recordOverhead = SessionTable.overhead - SessionTable.contentBytes

  /// The way that trains to a peer take now; nil when packets go one by one.
  public func trainWay(to slot: Int) -> TrainWay? {
    guard peers.isUsed(slot), let index = peers[slot].best, let session = peers[slot].session,
      let path = peers[slot].paths[index]
    else { return nil }
    let endpoint: Endpoint
    var circuit: (label: UInt32, relay: Int, path: Int?)?
    switch path.way {
    case .overlay: return nil
    case .endpoint(let direct): endpoint = direct
    case .circuit(let relay, let label):
      guard let relay = peer(relay), peers[relay].isUp, let direct = directEndpoint(relay) else { return nil }
      endpoint = direct
      circuit = (label, relay, peers[relay].index(of: .endpoint(direct)))
    }
    guard endpoint.socket == .main else { return nil }
    return TrainWay(
      endpoint: endpoint, packetBytesMax: Int(path.size) - SessionTable.overhead,
      takesHints: sessions.capabilities(of: session).contains(.offload), session: session, path: index,
      circuit: circuit)
  }

  /// Makes a datagram with a record of a packet.
  /// - Parameters:
  ///   - text: four bytes that are written here, then the packet.
  ///   - datagram: where it goes, `way.datagramOverhead` bytes longer than the text.
  /// - Returns: false when there are no keys that may seal.
  public mutating func seal(
    _ text: Frame, content: UInt8, offload: UInt16, _ way: TrainWay, into datagram: Frame
  ) -> Bool {
    var record = datagram
    if let circuit = way.circuit {
      CircuitHeader(hops: CircuitHeader.hopsMax, label: circuit.label).write(to: datagram)
      record = datagram.dropping(CircuitHeader.byteCount)
    }
    let result = sessions.seal(
      way.session, space: UInt8(1 + way.path), content: content, offload: offload, text: text, into: record)
    if case .sealed = result { return true }
    counters.noWay &+= 1
    return false
  }

  /// So many bytes of packets went to the peer.
  public mutating func noteSent(_ bytes: Int, to slot: Int, _ way: TrainWay, _ now: Instant) {
    noteSent(bytes, slot, way.path, now)
    if let circuit = way.circuit, let path = circuit.path {
      peers[circuit.relay].paths[path]?.usedAt = now
    }
  }

  /// The record of a data space in a datagram, and the way by which it came; nil when it has none.
  public func dataRecord(in datagram: Frame, from endpoint: Endpoint) -> (record: Frame, Origin)? {
    var record = datagram
    var origin = Origin.endpoint(endpoint)
    if datagram.count > CircuitHeader.byteCount, datagram[0] == CircuitHeader.kind {
      guard let header = CircuitHeader(datagram), let circuit = originAtEnd(header, from: endpoint) else {
        return nil
      }
      record = datagram.dropping(CircuitHeader.byteCount)
      origin = circuit
    }
    // The counter's highest byte is the space; that of the control plane is 0.
    guard record.count >= SessionTable.overhead, record[0] == SessionTable.recordKind, record[11] != 0 else {
      return nil
    }
    return (record, origin)
  }

  /// Opens a record of a data space.
  /// - Parameter text: where its four bytes and its packet go: 28 bytes less than the record.
  public mutating func open(
    _ record: Frame, into text: Frame, from origin: Origin, _ context: inout Context
  ) -> OpenedRecord {
    switch sessions.open(record, into: text, at: context.now) {
    case .dropped: return .dropped
    case .unknownIndex: return .notOpened
    case .opened(let opened):
      guard !opened.confirmed, opened.content >= Content.communities,
        opened.content & ~Content.classMask == 0,
        let slot = bySession[opened.session.slot].map(Int.init), peers.isUsed(slot), peers[slot].isUp
      else { return .other(opened) }
      // The records of a run are news once.
      let news = (session: opened.session, way: origin.way, at: context.now)
      if lastNews.at != news.at || lastNews.session != news.session || lastNews.way != news.way {
        note(slot, from: origin, &context)
        lastNews = news
      }
      return .data(peer: slot, opened)
    }
  }
}
