// The quick way of data: trains of the device to runs of datagrams, and runs of datagrams to trains.
//
// What the quick way does not take comes out of it untouched, and goes the usual way in slots of the pool: so
// each rule stands once, and the quick way only leaves out what is settled.

import Base
import DHT
import Overlay
import Session
import VPN

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

  /// Takes a datagram, wherever it stands.
  /// - Parameter trafficClass: of the header that it came in.
  /// - Returns: what is to be written to the device before the next call, behind its virtio header.
  public mutating func receive(
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
        let slot = context.pool.take(copying: packet)
        coalescer.abandon()
        guard let slot else { return nil }
        receive(network.receive(opened: opened, slot, counter: counter, from: origin, &context), &context)
        settle(&context)
        return nil
      }
    }
    if let slot = context.pool.take(copying: datagram) { receive(slot, from: endpoint, &context) }
    return nil
  }

  /// Lets everything else of the node react to what the quick way has noticed.
  public mutating func settleData(_ context: inout Context) { settle(&context) }

  /// Passes on what of a run goes through a circuit of this node, where it stands.
  public mutating func forward(
    _ run: Frame, segmentBytes: Int, from endpoint: Endpoint, at now: Instant
  ) -> RunForwarding {
    network.links.forward(run, segmentBytes: segmentBytes, from: endpoint, at: now)
  }
}
