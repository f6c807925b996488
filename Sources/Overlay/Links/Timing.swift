// The times and counts of links and ring, each with its reason.

import Base

/// Implementation constants: a change of one is not a change of the protocol.
enum Timing {
  /// Handshake tries: the first again soon (a lost packet), later ones calmly. After the last the peer counts
  /// as gone.
  static let handshakeRetry: [Interval] = [
    .milliseconds(300), .milliseconds(600), .seconds(1), .seconds(2), .seconds(3), .seconds(3),
  ]
  /// Of whom others speak may be dead, and each question over the ring costs some eight datagrams then.
  static let hearsayTries: UInt8 = 4
  /// How often the first record under new keys is sent.
  static let helloTries: UInt8 = 8
  /// A peer that did not answer is not tried again on hearsay for this long.
  static let deadFor = Interval.seconds(30)
  /// A neighbour that fell silent is not tried again on hearsay for this long: by then those who speak of it
  /// have noticed its death, or it lives. (Others are asked more rarely whether they are there.)
  static let lostFor = Interval.seconds(10)
  /// Bootstraps may come up later than we do.
  static let bootstrapRetryMin = Interval.milliseconds(250)
  static let bootstrapRetryMax = Interval.seconds(5)
  /// A newcomer keeps its place in a full table this long.
  static let welcome = Interval.milliseconds(250)
  /// Whom a bootstrap had no place for comes back after this.
  static let bootstrapFull = Interval.seconds(1)
  /// Who has fewer direct links than this, other than bootstraps, keeps those to bootstraps as ways in.
  static let directLinksMin = 3
  /// Who has all neighbours asks a bootstrap this often whether it sees the same ring.
  static let outside = Interval.minutes(5)
  /// A bootstrap that is gone while others are there is looked for now and then.
  static let bootstrapRetryCalm = Interval.seconds(30)
  /// A proxy is asked so often at once how far it is: one answer may be late, and there is no time for more.
  static let proxySamples: UInt32 = 3
  /// Under traffic, a path is asked this often whether it is there. (Ring neighbours are asked by
  /// `stabilise`.)
  static let activeProbe = Interval.seconds(5)
  /// Other paths are kept open through NATs, which may forget after 30 s.
  static let keepalive = Interval.seconds(25)
  static let keepaliveGrace = Interval.seconds(2)
  /// Under traffic, a path that is silent this long is asked.
  static let silence = Interval.milliseconds(1_500)
  /// Traffic within this time counts as "under traffic": a little longer than until the next question, or who
  /// only listens would never ask.
  static let activity = Interval.seconds(6)
  /// Unanswered pings after which a way is dead, and the least wait for each: a second in all on a quick
  /// network, so that a machine that hesitates is not given up.
  static let pingTries: UInt8 = 4
  static let pingWaitMin = Interval.milliseconds(250)
  /// With this question another way takes over that answers, if there is one.
  static let doubtTries: UInt8 = 3
  /// So many more, each after twice the wait, when the peer was heard meanwhile: it is slow and not dead.
  static let pingTriesMore: UInt8 = 2
  /// Whoever was heard within this time need not be asked because others have died.
  static let quietLink = Interval.seconds(1)
  /// When the last direct path has died, the ring gets a shorter chance to carry a pong: 0.75 s on a quick
  /// network.
  static let indirectTries: UInt8 = 3
  /// A proven size is asked again after this, when the path is pinged anyway.
  static let sizeCheck = Interval.seconds(15)
  /// First probes of an unproven endpoint (at most five, of at most 64 bytes).
  static let candidateProbes: [Interval] = [
    .milliseconds(100), .milliseconds(200), .milliseconds(400), .milliseconds(800), .milliseconds(1_000),
  ]
  /// The way to a peer may take long, but no peer is waited for longer than this before its candidates are
  /// probed.
  static let punchDelayMax = Interval.seconds(1)
  /// When the node's rate of probes is used up, the next one is tried after this.
  static let probeWait = Interval.milliseconds(50)
  /// Candidates of one peer that are tried in this time: a peer cannot have us knock at many doors.
  static let candidatesMax = 8
  static let candidatesSpan = Interval.seconds(30)
  /// While relayed, the direct way is tried again, first soon and then ever more rarely.
  static let directRetryMin = Interval.seconds(1)
  static let directRetryMax = Interval.minutes(5)
  /// An on-demand link without traffic is let go.
  static let idle = Interval.minutes(5)
  /// A link that was tried for the ring, and turned out not to be needed.
  static let idleWithoutRole = Interval.seconds(10)
  /// A peer that counts us among its neighbours is kept this long after it last said so (it says so every
  /// half a minute).
  static let wanted = Interval.seconds(45)
  /// A neighbour that others have come before keeps its role this long.
  static let trim = Interval.seconds(10)
  /// Not more often than this is everybody told of a new address of ours (behind some NATs each peer sees
  /// another).
  static let announce = Interval.seconds(2)
  /// Stabilisation: often after a change, rarely in quiet.
  static let stabiliseSoon = Interval.seconds(1)
  static let stabilise = Interval.seconds(4)
  /// On the ring of the members more rarely: nobody owns keys there, and what is sent to a dead neighbour is
  /// not confirmed and goes another way.
  static let stabiliseMembers = Interval.seconds(12)
  static let unquiet = Interval.seconds(10)
  /// Silence of our own, with a timer overdue by more than any load explains, means that the machine slept:
  /// longer than neighbours wait before they give a silent node up.
  static let sleep = Interval.milliseconds(2_500)
  static let overdue = Interval.milliseconds(250)
  /// Links hear of each other soon while a node is young, then ever more rarely.
  static let newsSoon = Interval.seconds(10)
  static let news = Interval.minutes(10)
  /// Changes within this time are told together.
  static let coalesce = Interval.milliseconds(50)
  static let announceRing = Interval.milliseconds(250)
  /// A newcomer asks again for its place.
  static let find = Interval.seconds(1)
  static let findSoon = Interval.milliseconds(200)
}

/// Sizes of datagrams (UDP payload, in bytes) that a path can carry.
enum PathSize {
  /// Fits every underlay with the IPv6 minimum MTU of 1,280 bytes.
  static let base: UInt16 = 1_232
  /// Fits a 1,500-byte underlay over IPv6: all of a 1,400-byte packet in one record.
  static let ethernet: UInt16 = 1_452
  /// Over the ring, two layers of headers and records come around the datagram (2 × 116 bytes).
  static let overlay: UInt16 = 1_000
}
