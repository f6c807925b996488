// Receiving: what a datagram is, whose it is, and what its record says.

import Base
import Session

extension Links {
  /// Takes a datagram from the underlay, or one that came over the ring. The slot stays the caller's; an
  /// arrival names parts of it.
  public mutating func receive(_ ref: PacketRef, from origin: Origin, _ context: inout Context) -> Arrival {
    let datagram = context.pool.frame(ref)
    guard !datagram.isEmpty else { return .none }
    switch datagram[0] {
    case 1, 2:
      receiveHandshake(ref, from: origin, &context)
    case 4:
      return receiveRecord(ref, from: origin, &context)
    case CircuitHeader.kind:
      return receiveCircuit(ref, from: origin, &context)
    case 7:
      receiveReset(datagram, &context)
    default:
      counters.unknownKind &+= 1
    }
    return .none
  }

  mutating func receiveRecord(
    _ ref: PacketRef, from origin: Origin, _ context: inout Context
  ) -> Arrival {
    let datagram = context.pool.frame(ref)
    switch sessions.open(datagram, at: context.now) {
    case .dropped:
      return .none
    case .unknownIndex:
      answerUnknown(datagram, from: origin, &context)
      return .none
    case .opened(let opened):
      let before = UInt16(SessionTable.headerBytes + SessionTable.contentBytes)
      let body = PacketRef(
        slot: ref.slot, offset: ref.offset + before, length: ref.length - UInt16(SessionTable.overhead))
      let counter = datagram.little(4, as: UInt64.self)
      return receive(opened: opened, body, counter: counter, from: origin, &context)
    }
  }

  /// Takes what an authentic record says. The slot stays the caller's.
  public mutating func receive(
    opened: Opened, _ body: PacketRef, counter: UInt64, from origin: Origin, _ context: inout Context
  ) -> Arrival {
    // What is said of a packet is said of data only.
    guard opened.offload == 0 || opened.content & Content.classMask >= Content.communities else {
      counters.malformed &+= 1
      return .none
    }
    if opened.confirmed {
      guard linkUp(opened.session, restarted: opened.restarted, from: origin, &context) != nil else {
        return .none
      }
    }
    guard let slot = bySession[opened.session.slot].map(Int.init), peers.isUsed(slot), peers[slot].isUp
    else {
      counters.unknownPeer &+= 1
      return .none
    }
    if !isReflection(body, opened.content, context) { note(slot, from: origin, &context) }
    return dispatch(body, opened, counter: counter, from: slot, origin, &context)
  }

  /// Whether the record has come by a socket that is only for a look at a box: it makes no path.
  private func isReflection(_ body: PacketRef, _ content: UInt8, _ context: borrowing Context) -> Bool {
    guard content == Content.control, body.length > 0 else { return false }
    return context.pool.frame(body)[0] == LinkMessageType.reflect.rawValue
  }

  private mutating func dispatch(
    _ body: PacketRef, _ opened: Opened, counter: UInt64, from slot: Int, _ origin: Origin,
    _ context: inout Context
  ) -> Arrival {
    switch opened.content {
    case Content.control:
      return receiveMessage(body, from: slot, origin, &context)
    case Content.routed:
      return .routed(body, from: slot, number: 0)
    case Content.numbered where body.length > 4:
      let rest = PacketRef(slot: body.slot, offset: body.offset + 4, length: body.length - 4)
      return .routed(rest, from: slot, number: context.pool.frame(body).big(0, as: UInt32.self))
    default:
      guard opened.content & Content.classMask >= Content.communities else {
        counters.malformed &+= 1
        return .none
      }
      return .data(
        peer: slot, content: opened.content, offload: opened.offload, counter: counter, body)
    }
  }

  /// An authentic record came this way: a known path is alive, an unknown endpoint earns a question.
  mutating func note(_ slot: Int, from origin: Origin, _ context: inout Context) {
    if peers[slot].askedAt < context.now { heard(slot) }
    peers[slot].heardAt = context.now
    if let index = peers[slot].index(of: origin.way) {
      peers[slot].paths[index]!.heardAt = context.now
      return
    }
    switch origin {
    case .endpoint(let endpoint):
      if addPath(slot, endpoint, mayReplace: true, &context) != nil {
        wake(slot, at: context.now)
        // The peer may have moved: the path that this one would take the place of is asked as well.
        doubt(slot, context.now)
      }
    case .routed(_, let via):
      openOverlayPath(slot, context.now)
      learn(via: via, of: slot)
    case .circuit:
      break
    }
  }

  private mutating func answerUnknown(_ datagram: Frame, from origin: Origin, _ context: inout Context) {
    guard resets.take(at: context.now), let ref = context.pool.take(length: 0) else { return }
    guard let length = sessions.writeReset(answering: datagram, at: context.now, into: context.pool.room(ref))
    else {
      return context.pool.release(ref)
    }
    switch origin {
    case .endpoint(let endpoint):
      transmit(ref, length: length, to: endpoint, &context)
    case .routed(let source, let via):
      routeDatagram(
        PacketRef(slot: ref.slot, offset: ref.offset, length: UInt16(length)), to: source, via: via, &context)
    case .circuit(let relay, let label):
      let datagram = PacketRef(slot: ref.slot, offset: ref.offset, length: UInt16(length))
      transmit(datagram, through: relay, label: label, &context)
    }
  }

  // MARK: - Control messages

  private mutating func receiveMessage(
    _ body: PacketRef, from slot: Int, _ origin: Origin, _ context: inout Context
  ) -> Arrival {
    let frame = context.pool.frame(body)
    guard frame.count > 0, let type = LinkMessageType(rawValue: frame[0]) else {
      counters.malformed &+= 1
      return .none
    }
    let rest = frame.dropping(1)
    do throws(WireError) {
      switch type {
      case .hello: receiveHello(try Hello(decoding: rest), from: slot, &context)
      case .ping: receive(try Ping(decoding: rest), from: slot, origin, &context)
      case .pong: receive(try Pong(decoding: rest), from: slot, origin, &context)
      case .confirm: receive(try HopConfirmation(decoding: rest), from: slot, &context)
      case .acquaintances: receive(try Acquaintances(decoding: rest), from: slot, &context)
      case .acquainted: peers[slot].acquaintancesHeld = try Acquainted(decoding: rest).fingerprint
      case .refuse:
        try WireReader(rest).finish()
        receiveRefusal(from: slot)
      case .circuit: receive(try CircuitMessage(decoding: rest), from: slot, &context)
      case .candidates: receive(try Candidates(decoding: rest), from: slot, &context)
      case .birthday: receive(try BirthdayMessage(decoding: rest), from: slot, &context)
      case .reflect: receive(try Reflect(decoding: rest), from: slot, origin, &context)
      case .close:
        try WireReader(rest).finish()
        receiveClose(from: slot, &context)
      case .stabilise, .leave, .unify, .claim, .member, .task:
        return .message(
          peer: slot, type, body: PacketRef(slot: body.slot, offset: body.offset + 1, length: body.length - 1)
        )
      }
    } catch {
      counters.malformed &+= 1
    }
    return .none
  }

  /// The peer lets go of the session: so do we. A bootstrap may be full.
  private mutating func receiveClose(from slot: Int, _ context: inout Context) {
    let key = peers[slot].key
    forget(slot, &context)
    for i in 0..<bootstraps.count where bootstraps[i].key == key {
      let wait = context.random.jittered(isComfortable ? Timing.bootstrapRetryCalm : Timing.bootstrapFull)
      let next = context.now + wait
      bootstraps[i].nextAt = isComfortable ? max(bootstraps[i].nextAt, next) : next
      deadline = min(deadline, bootstraps[i].nextAt)
    }
  }
}
