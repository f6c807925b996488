// What cores want done, and how the world does it.

import Base
import Node

extension World {
  /// Carries out the effects of a call in order, also those that come up meanwhile.
  func carryOut(_ host: Host) {
    let context = host.desk.storage
    var i = 0
    while i < context.pointee.effects.count {
      switch context.pointee.effects[i] {
      case .transmit(let ref, let endpoint):
        transmit(context.pointee.pool.frame(ref), from: host.number, to: endpoint)
        context.pointee.pool.release(ref)
      case .deliver(let ref):
        deliver(context.pointee.pool.frame(ref), to: host)
        context.pointee.pool.release(ref)
      case .store(let table, let ticket, let ref):
        store(table, ticket, context.pointee.pool.frame(ref), of: host)
        context.pointee.pool.release(ref)
      case .load(let table, let ticket, let ref):
        let key = context.pointee.pool.frame(ref).bytes
        context.pointee.pool.release(ref)
        load(table, ticket, key, of: host)
      case .open(let number):
        host.sockets.insert(number)
      case .rebind:
        rebind(host)
      case .close(let number):
        if number.isStream { closeStream(number, of: host) } else { host.sockets.remove(number) }
      case .connect(let endpoint):
        connect(host, to: endpoint)
      case .configure:
        break
      case .notify(let event):
        if onEvent != nil { raised.append((host.number, event)) }
        if options.isLaboratory { host.events.append(event) }
      }
      i += 1
    }
    context.pointee.effects.removeAll()
  }

  private func rebind(_ host: Host) {
    host.sockets.rebind(node: host.number)
    records[host.number].flags.insert(.rebound)
    host.core.setUnderlay(interfaces(host.number), port: host.sockets.main, &host.context)
  }

  private func deliver(_ packet: Frame, to host: Host) {
    counters.delivered &+= 1
    record(.deliver, of: host.number, packet)
    if isQuery(packet) {
      if options.isLaboratory { host.queries.append((now, packet.bytes)) }
      return
    }
    onDelivery?(host.number, packet)
    if options.isLaboratory { host.delivered.append((now, packet.bytes)) }
  }

  /// Whether the packet asks the kernel which multicast groups were joined: no program sees it.
  private func isQuery(_ packet: Frame) -> Bool {
    packet[0] == 0x46 ? packet[9] == 2 : packet[0] >> 4 == 6 && packet[6] == 0
  }

  private func store(_ table: StoreTable, _ ticket: UInt32, _ pair: Frame, of host: Host) {
    record(.store, of: host.number, pair)
    let key = pair.slice(1, Int(pair[0]))
    let value = pair.dropping(1 + key.count)
    host.disk.plan(Disk.Write(table: table, ticket: ticket, key: key.bytes, value: value.bytes))
    let life = UInt32(records[host.number].life)
    queue.push(Happening.commit(host.number, life: life).word, at: (now + options.commit).ns)
  }

  private func load(_ table: StoreTable, _ ticket: UInt32, _ key: [UInt8], of host: Host) {
    let value = host.disk.value(table, key)
    if let value { scratch.frame.write(value) }
    host.core.loaded(ticket, value.map { scratch.frame.prefix($0.count) }, &host.context)
  }

  /// The kinds of effects that the digest tells apart.
  enum EffectKind: UInt64 {
    case transmit = 1
    case deliver = 2
    case store = 3
  }

  /// Folds an effect into the digest.
  @inline(__always) func record(_ kind: EffectKind, of node: Int, _ bytes: Frame) {
    sum.fold(now.ns, UInt64(node) &<< 8 | kind.rawValue)
    sum.fold(bytes.base, count: bytes.count)
  }
}
