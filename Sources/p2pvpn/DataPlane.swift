// The driver's half of the quick way of data: what the device has goes to peers in runs of datagrams, and
// what runs bring goes to the device in trains.

import Base
import Node
import Platform
import VPN

/// The memory of the data plane, and what is under way in it. Belongs to the thread of the loop.
final class DataPlane {
  /// Where a packet of the device begins in its buffer: behind its virtio header, and so that four bytes of a
  /// record find room.
  static let packetAt = 64
  /// Bytes of the device in a turn, but for the last packet: what comes from peers waits for less than a
  /// millisecond behind them.
  static let turnBytes = 256 << 10
  /// A virtio header and the longest packet, 65,535 bytes.
  private static let deviceBytes = 65_536 + 1_024
  /// Two of the longest superpackets, and a record of 4 KiB behind them.
  private static let coalescerBytes = 2 * 65_536 + 4_096

  let runs = UDPRuns()
  var run = DatagramRun()
  var coalescer: Coalescer
  /// What the device has handed over.
  let packet: Scratch
  /// Packets of the device that were none, longer than its MTU, or found no slot.
  private(set) var refused: UInt64 = 0
  private let coalescerMemory: Scratch

  init(_ offload: TUNOffload) {
    precondition(TUNDevice.headerBytes == VirtioHeader.bytes)
    packet = Scratch(capacity: Self.packetAt + Self.deviceBytes)
    coalescerMemory = Scratch(capacity: Self.coalescerBytes)
    coalescer = Coalescer(
      buffer: coalescerMemory.frame, mtu: Tunnel.mtu, canPartial: offload.contains(.checksum),
      canTCP: offload.contains(.tcp), canUDP: offload.contains(.udp))
  }

  /// What a read of the device brought.
  enum Reading {
    case nothing
    /// No packet that can be sent: it is counted.
    case refused
    case train(Train)
  }

  /// Reads what the device has next into `packet`.
  func read(_ device: TUNDevice) -> Reading {
    let header = Self.packetAt - TUNDevice.headerBytes
    guard let bytes = device.read(into: packet.frame.dropping(header)) else { return .nothing }
    guard bytes > TUNDevice.headerBytes, let virtio = VirtioHeader(packet.frame.dropping(header)),
      let train = Train(packet.frame.slice(Self.packetAt, bytes - TUNDevice.headerBytes), virtio)
    else {
      countRefused()
      return .refused
    }
    return .train(train)
  }

  func countRefused(_ packets: Int = 1) { refused &+= UInt64(packets) }
}

extension Daemon {
  /// Takes what the device has: at most 64 packets or superpackets, and not many of the large ones, as others
  /// wait.
  func readDevice() {
    guard let device else { return }
    var bytes = 0
    reading: for _ in 0..<Self.batchMax where bytes < DataPlane.turnBytes {
      switch data.read(device.tun) {
      case .nothing: break reading
      case .refused: continue
      case .train(let train):
        bytes += train.packetBytes
        send(train)
      }
    }
    flushRun()
    settleData()
    guard device.tun.isLost else { return }
    loop.remove(device.tun.fd)
    ending =
      ending
      ?? .failed(
        Failure(
          .failed, "the interface \(device.tun.name) was deleted by another program: start the node again"))
  }

  private func send(_ train: Train) {
    let buffer = data.packet.frame
    guard var outgoing = core.begin(train, in: buffer, packetAt: DataPlane.packetAt, &context) else {
      return sendOneByOne(train)
    }
    while !core.seal(&outgoing, into: &data.run, &context) { flushRun() }
  }

  /// The packets of a train, each with its own checksum, go the usual way.
  private func sendOneByOne(_ train: Train) {
    flushRun()
    var cutter = Cutter(train, buffer: data.packet.frame, packetAt: DataPlane.packetAt)
    while let slot = context.pool.take(length: PacketPool.payloadMax) {
      guard let length = cutter.nextPlain(into: context.pool.frame(slot)) else {
        if cutter.remaining > 0 { data.countRefused(cutter.remaining) }
        return context.pool.release(slot)
      }
      core.send(PacketRef(slot: slot.slot, offset: slot.offset, length: UInt16(length)), &context)
      drain()
    }
    data.countRefused(cutter.remaining)
  }

  private func flushRun() {
    guard !data.run.isEmpty else { return }
    // What was queued one by one was there before.
    sockets.main.batch.flush(&context.pool)
    sockets.main.send(
      run: data.run.frame, segmentBytes: data.run.segmentBytes, to: data.run.endpoint,
      tos: data.run.trafficClass)
    data.run.removeAll()
  }

  /// Takes the runs that a socket has; where the kernel joins nothing each is one datagram.
  func readRuns(_ socket: UDPSocket) {
    for i in 0..<socket.receive(runs: data.runs) {
      let run = data.runs[i]
      var rest = run.frame
      while !rest.isEmpty {
        let step = core.receive(
          run: rest, segmentBytes: run.segmentBytes, from: run.from, trafficClass: run.tos,
          into: &data.coalescer, &context)
        switch step.next {
        case .nothing: break
        case .write(let finished): device?.tun.write(finished)
        case .sendOn(let endpoint):
          sockets.main.send(
            run: rest.prefix(step.taken), segmentBytes: run.segmentBytes, to: endpoint, tos: run.tos & 3)
        }
        if context.effects.count > 0 {
          // What came before is written before.
          finishTrain()
          drain()
        }
        rest = rest.dropping(step.taken)
      }
    }
    finishTrain()
    settleData()
  }

  private func finishTrain() {
    if let finished = data.coalescer.finish() { device?.tun.write(finished) }
  }

  /// What trains have led to: a path that is new, an address that is asked for.
  private func settleData() {
    core.settleData(&context)
    drain()
  }
}

extension TUNOffload {
  /// What of it there is, in words for people and programs.
  var names: [String] {
    let words: [(TUNOffload, String)] = [(.checksum, "checksum"), (.tcp, "tcp"), (.udp, "udp")]
    return words.filter { contains($0.0) }.map(\.1)
  }
}
