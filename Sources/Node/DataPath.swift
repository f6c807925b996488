// The quick way of data: trains of the device to runs of datagrams, and runs of datagrams to trains.
//
// What the quick way does not take comes out of it untouched, and goes the usual way in slots of the pool,
// which alone counts and answers what is wrong: the quick way only leaves out what is settled.

import Base
import DHT
import Overlay
import Session
import VPN

/// What became of the beginning of a run, and what is to be done before the next call. There may be effects.
public struct RunStep: Sendable, BitwiseCopyable {
  public enum Next: Sendable, BitwiseCopyable {
    case nothing
    /// To the device, behind its virtio header.
    case write(Frame)
    /// What was taken, as it stands.
    case sendOn(to: Endpoint)
  }

  /// Bytes of the run, at least one.
  public let taken: Int
  public let next: Next
}

/// What became of datagrams on the way to the core.
public struct DataPathCounters: Sendable, BitwiseCopyable {
  /// Longer than any datagram of ours, or no slot was left.
  public var dropped: UInt64 = 0
}

extension NodeCore {
  /// Begins to send a train of the device.
  /// - Parameters:
  ///   - buffer: holds the packet, with `Cutter.room` bytes before it; it stays as it is until all is sealed.
  ///   - packetAt: where the packet begins.
  /// - Returns: nil when its packets must go one by one.
  public mutating func begin(
    _ train: Train, in buffer: Frame, packetAt: Int, _ context: inout Context
  ) -> OutgoingTrain? {
    if tunnel == nil { return nil }
    return tunnel!.value.begin(train, in: buffer, packetAt: packetAt, &network, &context)
  }

  /// Seals what is left of a train.
  /// - Returns: whether that was all; else the run is full, and must leave before the next call.
  public mutating func seal(
    _ train: inout OutgoingTrain, into run: inout DatagramRun, _ context: inout Context
  ) -> Bool {
    tunnel?.value.seal(&train, into: &run, &network, &context) ?? true
  }

  /// Takes datagrams of a run, up to the first that leads to something to do.
  /// - Parameters:
  ///   - run: datagrams of `segmentBytes` each, but the last, which came from `endpoint`.
  ///   - trafficClass: of the header that they came in.
  public mutating func receive(
    run: Frame, segmentBytes: Int, from endpoint: Endpoint, trafficClass: UInt8,
    into coalescer: inout Coalescer, _ context: inout Context
  ) -> RunStep {
    switch network.links.forward(run, segmentBytes: segmentBytes, from: endpoint, at: context.now) {
    case .onward(let bytes, let destination): return RunStep(taken: bytes, next: .sendOn(to: destination))
    case .dropped(let bytes): return RunStep(taken: bytes, next: .nothing)
    case .notForwarded: break
    }
    var taken = 0
    repeat {
      let datagram = run.slice(taken, min(segmentBytes, run.count - taken))
      if taken > 0, network.links.mayForward(datagram) { break }
      taken += datagram.count
      let finished = receive(
        datagram, from: endpoint, trafficClass: trafficClass, into: &coalescer, &context)
      if let finished { return RunStep(taken: taken, next: .write(finished)) }
    } while taken < run.count && context.effects.count == 0
    return RunStep(taken: taken, next: .nothing)
  }

  /// Takes a datagram, wherever it stands.
  /// - Parameter trafficClass: of the header that it came in.
  /// - Returns: what is to be written to the device before the next call, behind its virtio header.
  mutating func receive(
    _ datagram: Frame, from endpoint: Endpoint, trafficClass: UInt8, into coalescer: inout Coalescer,
    _ context: inout Context
  ) -> Frame? {
    if tunnel != nil {
      let delivery =
        tunnel?.value.receive(
          datagram, from: endpoint, trafficClass: trafficClass, into: &coalescer, &network, &context)
        ?? .plain
      switch delivery {
      case .taken: return nil
      case .write(let finished): return finished
      case .plain: break
      case .opened(let opened, let packet, let counter, let origin):
        let slot = Self.take(copying: packet, &context)
        coalescer.abandon()
        guard let slot else {
          dataPath.dropped &+= 1
          return nil
        }
        receive(network.receive(opened: opened, slot, counter: counter, from: origin, &context), &context)
        settle(&context)
        return nil
      }
    }
    guard let slot = Self.take(copying: datagram, &context) else {
      dataPath.dropped &+= 1
      return nil
    }
    receive(slot, from: endpoint, &context)
    return nil
  }

  /// A slot with a copy; nil for what is longer than any datagram of ours: behind it stands room for what is
  /// put around messages that are passed on.
  private static func take(copying bytes: Frame, _ context: inout Context) -> PacketRef? {
    bytes.count <= PacketPool.payloadMax ? context.pool.take(copying: bytes) : nil
  }

  /// Lets everything else of the node react to what the quick way has noticed.
  public mutating func settleData(_ context: inout Context) { settle(&context) }
}
