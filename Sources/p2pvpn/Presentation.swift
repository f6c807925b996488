// Answers of a node as people read them: aligned, short, the important first.

import Base

enum Presentation {
  static func show(_ lines: [String]) {
    for line in lines { print(line) }
  }

  static func status(_ status: JSON) -> [String] {
    var rows: [[String]] = [
      ["id", status["id"].asString ?? "?"],
      [
        "version",
        "\(status["version"].asString ?? "?"), up for \(duration(status["uptime_s"].asInteger ?? 0))",
      ],
      ["state", status["ready"].asBool == true ? "ready" : "not ready yet"],
      ["ring", ring(status["ring"])],
      ["port", status["port"].asInteger.map { "\($0)" } ?? "?"],
      ["reach", reach(status["reach"])],
    ]
    for community in status["communities"].asArray {
      let kind = community["open"].asBool == true ? "open: everybody may enter" : "with a secret"
      rows.append(["community", "\(community["name"].asString ?? "?") (\(kind))"])
      let pool = community["pool"].asString.map { " of \($0)" } ?? ""
      rows.append(["address", community["address"].asString.map { $0 + pool } ?? "none yet"])
      rows.append(["", community["address6"].asString ?? "none"])
      rows.append(["interface", community["interface"].asString ?? "none"])
      rows.append(["members", members(community)])
    }
    rows.append(["data", data(status["data"])])
    rows.append(["peers", peerCounts(status["peers"])])
    let warnings = status["warnings"].asArray.compactMap(\.asString)
    rows += warnings.enumerated().map { [$0.offset == 0 ? "warnings" : "", $0.element] }
    return aligned(rows)
  }

  private static func data(_ data: JSON) -> String {
    let device = data["device_offload"].asArray.compactMap(\.asString)
    let trains = device.isEmpty ? "packets one by one" : "trains (\(device.joined(separator: ", ")))"
    return "\(data["aead"].asString ?? "?"), \(trains)"
  }

  /// How many members there are, and whether they agree on who stands next to whom.
  private static func members(_ community: JSON) -> String {
    let size = community["members"].asInteger ?? 0
    guard size > 1 else { return "this one alone" }
    let isSettled = community["subring"]["settled"].asBool == true
    return "\(number(ofMembers: size)), \(isSettled ? "all neighbours agree" : "not settled")"
  }

  /// Of more members than stand in sight the number is an estimate.
  private static func number(ofMembers size: Int64) -> String { size > 9 ? "some \(size)" : "\(size)" }

  private static func ring(_ ring: JSON) -> String {
    guard ring["settled"].asBool == true else { return "no place yet" }
    guard let successor = ring["successor"].asString, let predecessor = ring["predecessor"].asString else {
      return "alone"
    }
    let size = ring["size_estimate"].asInteger ?? 0
    return "about \(size) nodes, between \(predecessor.prefix(10)) and \(successor.prefix(10))"
  }

  private static func reach(_ reach: JSON) -> String {
    let seen = reach["seen_at"].asArray.compactMap(\.asString).joined(separator: ", ")
    let udp = reach["udp"].asString == "blocked" ? "UDP is blocked" : nat(reach["nat"])
    return seen.isEmpty ? udp : "\(udp); seen at \(seen)"
  }

  private static func peerCounts(_ counts: JSON) -> String {
    guard case .object(let members) = counts else { return "?" }
    let present = members.compactMap { member -> String? in
      guard let count = member.value.asInteger, count > 0 else { return nil }
      return "\(count) \(member.key)"
    }
    return present.isEmpty ? "none" : present.joined(separator: ", ")
  }

  static func peers(_ answer: JSON) -> [String] {
    let peers = answer["peers"].asArray
    guard !peers.isEmpty else { return ["no peers"] }
    let names = [String: String](
      peers.compactMap { peer in
        peer["id"].asString.flatMap { id in
          (peer["name"].asString ?? peer["address"].asString).map { (id, $0) }
        }
      }, uniquingKeysWith: { first, _ in first })
    let rows = peers.map { peer in
      [
        peer["name"].asString ?? "-", String((peer["id"].asString ?? "?").prefix(10)),
        peer["community"].asString ?? (peer["seed"].asBool == true ? "(seed)" : "-"),
        peer["address"].asString ?? "-", path(peer, names) + lastSeen(peer),
        peer["rtt_ms"].asNumber.map { "\(milliseconds($0)) ms" } ?? "-",
        peer["loss"].asNumber.map { "\(Int((100 * $0).rounded())) %" } ?? "-",
        bytes(peer["rx_bytes"].asInteger ?? 0), bytes(peer["tx_bytes"].asInteger ?? 0),
      ]
    }
    let order = rows.sorted { ($0[2], $0[3], $0[1]) < ($1[2], $1[3], $1[1]) }
    let table = aligned(
      [["NAME", "ID", "COMMUNITY", "ADDRESS", "PATH", "RTT", "LOSS", "RECEIVED", "SENT"]] + order,
      right: [5, 6, 7, 8])
    guard answer["whole"].asBool == false, let size = answer["members"].asInteger else { return table }
    return table + ["some \(size) members; these are the ones met"]
  }

  /// Of a member that does not answer: since when.
  private static func lastSeen(_ peer: JSON) -> String {
    guard peer["path"].asString == "offline", let seconds = peer["last_seen_s"].asInteger else { return "" }
    return ", last seen \(duration(seconds)) ago"
  }

  private static func path(_ peer: JSON, _ names: [String: String]) -> String {
    var text = peer["path"].asString ?? "?"
    if let via = peer["via"].asString { text += " via \(names[via] ?? String(via.prefix(10)))" }
    if let reason = peer["reason"].asString { text += " (\(reason))" }
    return text
  }

  /// A line of the event stream: moment, topic, event, facts.
  static func event(_ event: JSON) -> String {
    guard case .object(let members) = event else { return event.text }
    let facts = members.filter { !["schema", "topic", "event", "time"].contains($0.key) }.map { fact in
      // IDs as in the other lists.
      let isID = ["peer", "node", "id"].contains(fact.key)
      let text = isID ? fact.value.asString.map { String($0.prefix(10)) } : fact.value.asString
      return "\(fact.key)=\(text.flatMap { $0.contains(" ") ? nil : $0 } ?? fact.value.text)"
    }
    let moment = event["time"].asString.map { $0.dropFirst(11).prefix(12) } ?? "?"
    let head = "\(moment) \(event["topic"].asString ?? "?") \(event["event"].asString ?? "?")"
    return ([head] + facts).joined(separator: " ")
  }

  static func lookup(_ found: JSON) -> [String] {
    var rows = [["id", found["id"].asString ?? "?"], ["address", found["address"].asString ?? "?"]]
    if let endpoint = found["endpoint"].asString { rows.append(["endpoint", endpoint]) }
    if let seconds = found["expires_s"].asInteger {
      rows.append(["expires", "in \(duration(seconds)), unless renewed"])
    }
    return aligned(rows)
  }

  // Ways, for `trace`.

  static func route(_ route: JSON) -> [String] {
    let time = route["rtt_ms"].asNumber.map { "\(milliseconds($0)) ms" } ?? "?"
    let hops = route["hops"].asInteger ?? 0
    let nodes = route["nodes"].asArray.compactMap { $0["id"].asString.map { String($0.prefix(10)) } }
    let through = nodes.isEmpty ? "" : " through " + nodes.joined(separator: ", ")
    return ["ring", "\(hops) hop\(hops == 1 ? "" : "s")\(through), \(time)"]
  }

  /// What stands in front of both nodes.
  static func boxes(_ paths: JSON) -> [String] {
    ["nat", "\(nat(paths["nat"])); the peer: \(nat(paths["peer_nat"]))"]
  }

  private static func nat(_ kind: JSON) -> String {
    switch kind.asString {
    case "none": "no NAT"
    case "easy": "easy NAT: one port for all destinations"
    case "hard": "hard NAT: a new port for each destination"
    case "sequential": "hard NAT: the next port for each destination"
    case "no UDP": "UDP does not get through"
    default: "not known yet"
    }
  }

  /// A line for each endpoint at which the peer was looked for, and for each other way.
  static func ways(_ paths: JSON) -> [String] {
    let (ways, candidates) = (paths["ways"].asArray, paths["candidates"].asArray)
    var rows: [[String]] = [["PATH", "ENDPOINT", "ASKED", "RTT", "OUTCOME"]]
    var shown: [Int] = []
    for candidate in candidates {
      let endpoint = candidate["endpoint"].asString ?? "?"
      let isMany = candidate["source"].asString == "many ports"
      let index = candidate["way"].asInteger.map { Int($0) }
      let way = index.flatMap { ways.indices.contains($0) ? ways[$0] : nil }
      if let index { shown.append(index) }
      let isPredicted = candidate["source"].asString == "predicted"
      let place = isMany ? manyPorts(endpoint) : isPredicted ? "\(endpoint) (predicted)" : endpoint
      rows.append(row(way?["path"] ?? .null, place, candidate, sizeBytes: way?["size_bytes"] ?? .null))
    }
    for (index, way) in ways.enumerated() where !shown.contains(index) {
      let place = way["endpoint"].asString ?? way["via"].asString.map { "via \($0.prefix(10))" } ?? "-"
      rows.append(row(way["path"], place, way, sizeBytes: way["size_bytes"]))
    }
    return rows.count == 1 ? ["no way is known"] : aligned(rows, right: [2, 3])
  }

  private static func manyPorts(_ endpoint: String) -> String {
    endpoint.hasSuffix(":0") ? "\(endpoint.dropLast())*" : "\(endpoint) from many ports"
  }

  private static func row(_ path: JSON, _ place: String, _ found: JSON, sizeBytes: JSON) -> [String] {
    var outcome = found["state"].asString ?? "?"
    if let reason = found["reason"].asString { outcome += ": \(reason)" }
    if path.asString != nil, let size = sizeBytes.asInteger { outcome += ", up to \(size) bytes" }
    let asked = found["asked"].asInteger ?? 0
    return [
      path.asString ?? "-", place, asked > 0 ? "\(asked)" : "-",
      found["rtt_ms"].asNumber.map { "\(milliseconds($0)) ms" } ?? "-", outcome,
    ]
  }

  static func chosen(_ paths: JSON) -> String {
    var text = path(paths, [:])
    if let time = paths["rtt_ms"].asNumber { text += ", \(milliseconds(time)) ms" }
    return text
  }

  // Words for numbers.

  /// Three significant digits or so.
  static func milliseconds(_ value: Double) -> String {
    let places = value < 1 ? 1_000.0 : value < 100 ? 10.0 : 1.0
    let rounded = (value * places).rounded() / places
    return places == 1 ? "\(Int(rounded))" : "\(rounded)"
  }

  static func duration(_ seconds: Int64) -> String {
    switch seconds {
    case ..<120: "\(seconds) s"
    case ..<7_200: "\(seconds / 60) min"
    case ..<172_800: "\(seconds / 3_600) h \(seconds % 3_600 / 60) min"
    default: "\(seconds / 86_400) days"
    }
  }

  static func bytes(_ count: Int64) -> String {
    let units = ["B", "kB", "MB", "GB", "TB"]
    var value = Double(count)
    var unit = 0
    while value >= 1_000, unit < units.count - 1 {
      value /= 1_000
      unit += 1
    }
    return unit == 0 ? "\(count) B" : "\((value * 10).rounded() / 10) \(units[unit])"
  }

  /// Lines with their columns below each other.
  /// - Parameter right: the columns that end, and not begin, below each other.
  static func aligned(_ rows: [[String]], right: Set<Int> = []) -> [String] {
    let columns = rows.map(\.count).max() ?? 0
    let widths = (0..<columns).map { column in
      rows.map { $0.count > column ? $0[column].count : 0 }.max() ?? 0
    }
    return rows.map { row in
      var line = ""
      for (i, cell) in row.enumerated() {
        let padding = String(repeating: " ", count: widths[i] - cell.count)
        line += (i > 0 ? "  " : "") + (right.contains(i) ? padding + cell : cell + padding)
      }
      while line.last == " " { line.removeLast() }
      return line
    }
  }
}
