// The forms of what tasks and crawls answer. Keys may be added; those here stay, and mean what they mean.

extension Answers {
  private static let maybe = Shape.nullable(.text)
  private static let share = Shape.number
  private static let ids = Shape.list(.text)

  static let mapreduce: [Field] = [
    Field("task", .text, "What was asked."),
    Field("community", maybe, "Whose members were asked; null: all nodes."),
    Field("nodes", .count, "Nodes whose answers are in."),
    Field("declined", .count, "Nodes that are there and do not say."),
    Field("missing", .count, "About so many nodes in parts of the ring that have not answered."),
    Field("silent", .count, "Nodes that gave no sign; others have seen to their parts."),
    Field("complete", .truth, "Every part of the ring has answered."),
    Field("elapsed_ms", .number, "In all."),
    Field("routing_ms", .number, "Of this on the way."),
    Field("map_ms", .number, "Of this in maps, on the way that took longest."),
    Field("height", .count, "Levels of the tree."),
    Field("missing_parts", .list(.object(missingPart)), "Where these nodes are."),
    Field("missing_beyond", .count, "Missing nodes in parts that are not listed."),
    Field("silent_nodes", ids, "Some of them."),
    Field("laggards", .list(.object(laggard)), "Nodes that were waited for."),
  ]

  static let crawl: [Field] = [
    Field("community", maybe, "Whose members were asked; null: all nodes."),
    Field("verdict", .text, "One sentence."),
    Field("whole", .truth, "One ring, once round, of everybody who was named, and all agree."),
    Field("nodes", .count, "Nodes that have answered."),
    Field("missing", .count, "Somebody's neighbours that have not."),
    Field("method1", share, "Nodes of which r1(l2) = l1."),
    Field("method2", share, "Nodes of which r1(l1) is the node."),
    Field("method3", share, "Both."),
    Field("final", share, "The mean of r1(l1) and r2(l2) being the node."),
    Field("winding", .number, "How often the ring goes round."),
    Field("components", .count, "Rings that the nodes form."),
    Field("elapsed_ms", .number, "In all."),
    Field("size_estimate", .count, "Nodes, as those who answered reckon."),
    Field("reasons", .list(.text), "Why it is not whole."),
    Field("unreachable_pairs", .list(.object(pair)), "Nodes side by side. A hundred at most."),
    Field("unreachable_pairs_beyond", .count, "More of them."),
    Field("missing_nodes", ids, "A hundred at most."),
    Field("rumoured", .count, "Nodes that were only told of and have not answered."),
    Field("outliers", .list(.object(outlier)), "Nodes that stand out. A hundred at most."),
    Field("outliers_beyond", .count, "More of them."),
    Field("questions", .count, "Sent, repetitions included."),
    Field("cut_short", .truth, "It ended before all were asked."),
    Field(
      "answer_ms", .object([Field("median", .number, "Of all."), Field("max", .number, "The longest.")]),
      "From a question to its answer."),
    Field("answers_by_hops", .list(.count), "How many answers took none, one, two … hops."),
    Field("crawl", .count, "The number for crawl-nodes and crawl-picture."),
    .optional(
      "explanations", .list(.object(explanation)),
      "Of each outlier: what it believes, what its neighbours do, why."),
  ]

  static let crawlNodes: [Field] = [
    Field("nodes", .list(.object(crawled)), "What became of each, and what it has said."),
    Field("next", maybe, "For `after`; null at the end."),
  ]

  static let crawlPicture: [Field] = [
    Field("picture", .text, "Its text, or a part of it of \(KeptCrawl.partBytesMax) bytes at most."),
    Field("next", .nullable(.count), "For `from`, in bytes from its beginning; null at the end."),
  ]

  // Parts of them.

  private static let missingPart: [Field] = [
    Field("from", .text, "A place: the first digits of an ID."), Field("to", .text, "A place."),
    Field("nodes", .count, "About so many."),
  ]

  private static let laggard: [Field] = [
    Field("id", .text, "Its ID."), Field("what", .choice(["map", "way"]), "It was slow, or is far."),
    Field("ms", .count, "For so long."),
  ]

  private static let pair: [Field] = [
    Field("first", .text, "An ID."), Field("second", .text, "That of the next node clockwise."),
    Field("how", .choice(["no link", "overlay"]), "They are not linked, or over third nodes alone."),
  ]

  private static let faults = Shape.list(
    .choice([
      "missing", "wrong left", "wrong right", "wrong second", "unsettled", "unreachable", "stale",
    ]))

  private static let outlier: [Field] = [
    Field("id", .text, "Its ID."), Field("faults", faults, "What is odd about it."),
  ]

  private static let explanation: [Field] =
    outlier + [
      Field(
        "cause",
        .choice([
          "dead", "lagging", "stale incarnation", "newcomer", "foreign ring", "wound ring",
          "unreachable pair", "changing", "unexplained",
        ]), "What it is most likely."),
      Field("sentence", .text, "The same for people."),
      Field("belief", .nullable(.object(testimony)), "What it has said; null: nothing."),
      Field(
        "opinions",
        .list(
          .object([
            Field("by", .text, "The ID of a node that stands beside it."),
            Field("neighbour", .nullable(.object(neighbour)), "That node has it for a neighbour."),
            Field("missed", .nullable(.object(missed)), "That node was told of it and has no link."),
          ])), "Of those beside it."),
    ]

  private static let crawled: [Field] =
    [
      Field("id", .text, "Its ID."),
      Field("outcome", .choice(["answered", "not there", "silent", "not asked"]), "What became of it."),
      Field("neighbour", .truth, "Somebody has it for a neighbour; else it was only told of."),
      Field("faults", faults, "What is odd about it."), Field("took_ms", .number, "Until its answer."),
      Field("hops", .count, "The length of the way of its answer."), Field("tries", .count, "Questions."),
    ] + testimony.map { .optional($0.name, $0.shape, $0.text) }

  private static let testimony: [Field] = [
    Field("phase", .choice(["searching", "joining", "settled"]), "How far it is with its place."),
    Field("ready", .truth, "It has its place."), Field("incarnation", .count, "Its start, in its own time."),
    Field("uptime_s", .count, "Since its start."), Field("unchanged_s", .count, "Its neighbours have not."),
    Field("size_estimate", .count, "About so many nodes are on the ring."),
    Field("left", .list(.object(neighbour)), "Its neighbours counter-clockwise, nearest first."),
    Field("right", .list(.object(neighbour)), "Those clockwise."),
    Field("far", ids, "Places of its far links."),
    Field("missed", .list(.object(missed)), "Nodes that it was told of and has no link with."),
  ]

  private static let neighbour: [Field] = [
    Field("id", .text, "Its ID."), Field("path", .choice(paths), "How it is reached."),
    Field("rtt_ms", .nullable(.count), "The round trip."), Field("linked_s", .count, "Since the link is up."),
    Field("silent_s", .count, "Since it was heard."), Field("incarnation", .count, "That is known of it."),
    Field("names_us", .truth, "It has the speaker for its neighbour too."),
  ]

  private static let missed: [Field] = [
    Field("id", .text, "Its ID."), Field("asked_in_vain", .count, "How often."),
  ]
}
