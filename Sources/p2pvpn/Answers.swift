// The forms of what the calls answer. Keys may be added; those here stay, and mean what they mean.
//
// Every answer has `schema` beside these. Times are in seconds (`_s`) or milliseconds (`_ms`), sizes in
// bytes.

enum Answers {
  /// How a peer is reached, in the words that all output uses.
  static let paths = ["lan", "direct", "tcp", "proxy", "overlay", "idle", "offline"]
  private static let boxes = ["unknown", "none", "easy", "hard", "sequential", "no UDP"]
  private static let maybe = Shape.nullable(.text)
  private static let time = Shape.nullable(.number)

  static let status: [Field] = [
    Field("id", .text, "The node's ID, its place on the ring."),
    Field("key", .text, "Its public key, as a bootstrap's KEY@."),
    Field("version", .text, "The program's version."),
    Field("uptime_s", .count, "Since its start."),
    Field("ready", .truth, "It has its place on the ring and, if it is a member, its address."),
    Field("port", .integer(0...65_535), "The UDP port it listens on."),
    Field("ring", .object(ring), "Its place on the ring of all nodes."),
    Field("communities", .list(.object(community)), "What it is a member of; a seed of nothing."),
    Field("reach", .object(reach), "How others see it."),
    Field(
      "peers", .object(paths.map { Field($0, .count, "So many peers.") }), "Linked peers by their paths."),
    Field("leases", .count, "Entries of the directory that it keeps."),
    Field("data", .object(data), "How packets are handed over and encrypted."),
    Field("warnings", .list(.text), "What is not as it should be."),
  ]

  private static let data: [Field] = [
    Field("aead", .text, "The library that encrypts, and its version."),
    Field("device_offload", .list(.text), "What the kernel leaves to the node: checksum, tcp, udp."),
    Field("sends_runs", .truth, "Many datagrams leave by one call."),
    Field("receives_runs", .truth, "Many datagrams may come by one call."),
    Field("refused", .count, "Packets of the device that were none, longer than its MTU, or found no room."),
    Field("dropped", .count, "Datagrams that were longer than any of ours, or found no room."),
  ]

  private static let ring: [Field] = [
    Field("size_estimate", .count, "About so many nodes are on the ring."),
    Field("successor", maybe, "The ID of the next node clockwise."),
    Field("predecessor", maybe, "The ID of the next node the other way."),
    Field("settled", .truth, "Its neighbours name it as theirs."),
  ]

  private static let community: [Field] = [
    Field("name", .text, "The community's name."),
    Field("open", .truth, "Everybody may enter."),
    Field("address", maybe, "The virtual IPv4 address, without its prefix length; null until granted."),
    Field("address6", .text, "The virtual IPv6 address."),
    Field("pool", maybe, "The prefix of all addresses."),
    Field("interface", maybe, "The virtual network interface."),
    Field("members", .count, "Members as far as this one can tell, itself among them."),
    Field(
      "subring",
      .object([
        Field("settled", .truth, "Its neighbours there name it as theirs."),
        Field("neighbours", .count, "How many it has."),
      ]), "Its place on the ring of members."),
    Field("dropped", .nullable(.object(dropped)), "Packets that went no further, by the reason."),
  ]

  private static let dropped: [Field] = [
    Field("foreign_source", .count, "Sent here with another's source address."),
    Field("spoofed", .count, "Received with a source that is not the sender's."),
    Field("forged", .count, "For all, and not signed by who has sent them."),
    Field("limited", .count, "For all, and too many."),
    Field("malformed", .count, "No packets."),
    Field("congested", .count, "Marked on the way as having met congestion, for who knows no such marks."),
    Field("no_room", .count, "A table was full."),
    Field("unresolved", .count, "To an address that nobody has."),
  ]

  private static let reach: [Field] = [
    Field("nat", .choice(boxes), "What stands in front of it."),
    Field("udp", .choice(["unknown", "open", "blocked"]), "Whether UDP gets out."),
    Field("seen_at", .list(.text), "Where others see it."),
  ]

  static let peers: [Field] = [
    Field("members", .nullable(.count), "Members of the community, an estimate if they are many."),
    Field("whole", .truth, "False: the community is too large to ask all; only those met are here."),
    Field("peers", .list(.object(peer)), "The peers, in the order of their IDs."),
    Field("next", maybe, "What to give as `after` for those that follow; null: there are none."),
  ]

  private static let peer: [Field] = [
    Field("id", .text, "Its ID."),
    Field("name", maybe, "What it calls itself; nobody checks that."),
    Field("community", maybe, "The community that it is a member of with this node."),
    Field("address", maybe, "Its virtual IPv4 address."),
    Field("address6", maybe, "Its virtual IPv6 address."),
    Field("seed", .truth, "It is a seed."),
    Field("path", .choice(paths), "How it is reached."),
    Field("via", maybe, "The ID of the node between, on path proxy or overlay."),
    Field("hops", .nullable(.count), "1 on a direct path."),
    Field("endpoint", maybe, "Its address and port on the underlay."),
    Field("rtt_ms", time, "The round trip."),
    Field("loss", time, "Lost pings, from 0 to 1."),
    Field("rx_bytes", .count, "Received from it."),
    Field("tx_bytes", .count, "Sent to it."),
    Field("reason", maybe, "Why it is not reached directly."),
    Field("last_seen_s", .nullable(.count), "Of a member without a link: since it was there."),
  ]

  static let ping: [Field] = [
    Field("target", .text, "Who was asked, as given."),
    Field("rtt_ms", .number, "The round trip."),
    Field("path", .choice(paths), "The path of the answer."),
  ]

  static let lookup: [Field] = [
    Field("target", .text, "What was looked up, as given."),
    Field("id", .text, "The node's ID."),
    Field("address", maybe, "Its virtual address."),
    Field("endpoint", maybe, "An address and port on the underlay that it has told."),
    Field("expires_s", .nullable(.count), "When its claim ends unless renewed; null: it needs none."),
  ]

  static let route: [Field] = [
    Field("target", .text, "The ID, as given."),
    Field("hops", .count, "How many hops away it is."),
    Field("rtt_ms", .number, "The round trip."),
    Field(
      "nodes",
      .list(
        .object([Field("id", .text, "A node's ID."), Field("rtt_ms", .number, "The round trip to it.")])),
      "The nodes on the way that have answered, from here on."),
  ]

  static let pathsOfPeer: [Field] = [
    Field("id", .text, "The peer's ID."),
    Field("path", .choice(paths), "How it is reached."),
    Field("via", maybe, "The ID of the node between."),
    Field("endpoint", maybe, "Its address and port on the underlay."),
    Field("rtt_ms", time, "The round trip."),
    Field("reason", maybe, "Why it is not reached directly."),
    Field("nat", .choice(boxes), "What stands in front of this node."),
    Field("peer_nat", .choice(boxes), "What stands in front of the peer."),
    Field("ways", .list(.object(way)), "The paths that are open."),
    Field("candidates", .list(.object(candidate)), "The endpoints at which it was looked for."),
  ]

  private static let way: [Field] = [
    Field("path", .choice(paths), "Its kind."),
    Field("endpoint", maybe, "The address and port at its other end."),
    Field("via", maybe, "The ID of the node between."),
    Field("state", .choice(["chosen", "works", "being tried"]), "What has come of it."),
    Field("rtt_ms", time, "The round trip."),
    Field("size_bytes", .count, "The largest datagram that passes."),
  ]

  private static let candidate: [Field] = [
    Field("endpoint", .text, "Address and port."),
    Field("source", .choice(["told", "heard", "many ports", "predicted"]), "From where it is known."),
    Field("asked", .count, "How often it was asked."),
    Field(
      "state",
      .choice(["not asked", "chosen", "works", "fell silent", "being tried", "answered", "no answer"]),
      "What has come of it."),
    Field("reason", maybe, "Why it was not asked."),
    Field("way", .nullable(.count), "Its place in `ways`."),
    Field("rtt_ms", time, "The round trip."),
  ]

  static let path: [Field] = [
    Field("peer", .text, "The peer's ID."), Field("mode", .choice(["auto", "overlay"]), "As given."),
  ]

  static let help: [Field] = [
    Field(
      "calls",
      .list(
        .object([
          Field("name", .text, "The method."), Field("text", .text, "One line about it."),
          Field("params", .anyObject, "The form of its parameters (JSON Schema)."),
          Field("result", .anyObject, "The form of its result."),
          Field("progress", .nullable(.anyObject), "The form of what it says meanwhile; null: nothing."),
        ])), "The calls."),
    Field(
      "topics",
      .list(
        .object([
          Field("name", .text, "The topic."), Field("text", .text, "One line about it."),
          Field("events", .list(.anyObject), "Its events, each with name, text and the form of its facts."),
        ])), "What GET /events?topics=NAME,NAME tells; all without topics."),
  ]

  static let progress: [Field] = [
    .optional("nodes", .count, "Counted so far."), .optional("of_about", .count, "As the node reckons."),
    .optional("lost", .count, "Instead: words that the caller was too slow for."),
  ]
}
