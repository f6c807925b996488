// `p2pvpn join` and `p2pvpn seed`: the two that stay and run a node.

import ArgumentParser
import Base
import Glibc
import Logging
import Node
import Overlay
import Session
import VPN

/// Options of every node.
struct NodeArguments: ParsableArguments {
  @Option(
    name: .long,
    help: "A node to come in through, any member or seed; may be repeated. [KEY@]HOST[:PORT] or [V6]:PORT.",
    transform: Arguments.bootstrap)
  var bootstrap: [Bootstrap] = []

  @Option(
    name: .long, help: ArgumentHelp("Where to listen (default: :7741).", valueName: "[ADDR]:PORT"),
    transform: Arguments.listen)
  var listen: Endpoint?

  @Option(
    name: .long,
    help: ArgumentHelp(
      "Where others reach this node, beside what it finds out (a forwarded port); may be repeated.",
      valueName: "ADDRESS[:PORT]"),
    transform: Arguments.advertised)
  var advertise: [Endpoint] = []

  @Option(
    name: .long,
    help: ArgumentHelp(
      """
      Data of others to forward: off, or bits a second (default: 2mbit, and any rate for members of a \
      community with a secret).
      """, valueName: "off|RATE"),
    transform: Arguments.relay)
  var relay: UInt64?

  @Option(
    name: .customLong("relay-for"),
    help: "Whose data goes through this node's circuits: all, or pairs with a member of its community.")
  var relayFor = RelayAudience.all

  @Option(
    name: .customLong("relay-monthly"),
    help: ArgumentHelp("Data of others to forward in a calendar month, such as 10GB.", valueName: "SIZE"),
    transform: Arguments.size)
  var relayMonthly: UInt64?

  @Option(
    name: .customLong("operator"),
    help: ArgumentHelp(
      "Whose `mapreduce` this node answers, whatever it asks: the key of that node, from its `status`.",
      valueName: "KEY"),
    transform: Arguments.operatorKey)
  var operatorKey: PublicKey?

  @Option(
    name: .long,
    help: "What the node tells others of itself that ask: all, to those who may, or only its presence.")
  var tells = Telling.all

  @Option(
    name: .long,
    help: ArgumentHelp(
      "Whose code encrypts: auto (default) is the quickest that is there.",
      valueName: "auto|libsodium|ipsec-mb"))
  var aead = Encryption.auto

  @Option(
    name: .long,
    help: ArgumentHelp(
      """
      Whether packets are handed to and from the kernel in trains: auto (default) where it can; off for a \
      kernel with a fault there.
      """, valueName: "auto|off"))
  var offload = Offloading.auto

  @Option(
    name: .long, help: ArgumentHelp("Where the node keeps its identity and its store.", valueName: "DIR"))
  var state: String?

  @Option(
    name: .customLong("log-level"),
    help: ArgumentHelp("trace, debug, info, notice, warning, error or critical.", valueName: "LEVEL"),
    transform: Arguments.logLevel)
  var logLevel: Logger.Level = .info

  var options: NodeOptions {
    let terms = RelayTerms(
      bytesPerSecond: relay ?? RelayTerms.rateDefault, favoursMembers: relay == nil,
      isForMembersOnly: relayFor == .members, monthlyBytes: relayMonthly)
    return NodeOptions(
      state: state, listen: listen, advertised: advertise, bootstraps: bootstrap, relay: terms,
      disclosure: Disclosure(operatorKey: operatorKey, tells: tells == .all), encryption: aead.wish,
      offloads: offload == .auto, logLevel: logLevel)
  }

  func validate() throws {
    guard advertise.count <= 4 else { throw ValidationError("--advertise may be given four times at most") }
  }
}

/// The value of `--tells`.
enum Telling: String, CaseIterable, ExpressibleByArgument {
  case all
  case presence
}

/// The value of `--aead`.
enum Encryption: String, CaseIterable, ExpressibleByArgument {
  case auto
  case libsodium
  case ipsecMB = "ipsec-mb"

  var wish: BulkAEAD.Wish {
    switch self {
    case .auto: .automatic
    case .libsodium: .libsodium
    case .ipsecMB: .ipsecMB
    }
  }
}

/// The value of `--offload`.
enum Offloading: String, CaseIterable, ExpressibleByArgument {
  case auto
  case off
}

/// The value of `--relay-for`.
enum RelayAudience: String, CaseIterable, ExpressibleByArgument {
  case all
  case members
}

struct JoinCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "join", abstract: "Join a community and carry its packets; runs in the foreground.",
    discussion: """
      Without a name, the open community "public" is joined, which everybody may enter. A secret comes \
      from a file, from P2PVPN_SECRET or from systemd's credential "p2pvpn-secret", never from the \
      command line. Needs root or CAP_NET_ADMIN for the interface.
      """)

  static let publicName = "public"

  @Argument(
    help: ArgumentHelp("The community's name (default: \(publicName)).", valueName: "COMMUNITY"),
    transform: Arguments.community)
  var community: String?

  @OptionGroup var node: NodeArguments

  @Option(
    name: .customLong("secret-file"),
    help: ArgumentHelp("A file with the community's secret.", valueName: "FILE"))
  var secretFile: String?

  @Option(
    name: .long,
    help: ArgumentHelp(
      "What the others see this member called: letters, digits, hyphens (default: the machine's name).",
      valueName: "NAME"),
    transform: Arguments.name)
  var name: MemberName?

  @Option(
    name: .long, help: ArgumentHelp("The virtual address.", valueName: "auto|A.B.C.D/N"),
    transform: WantedAddress.init)
  var address = WantedAddress(prefix: nil)

  @Option(
    name: .long,
    help: ArgumentHelp("The community's addresses; has to fit what others chose.", valueName: "CIDR"),
    transform: Arguments.pool)
  var pool: IPPrefix?

  @Option(
    name: .long,
    help: ArgumentHelp("The interface's name (default: p2pvpn0, p2pvpn1, …).", valueName: "NAME"),
    transform: Arguments.interface)
  var interface: String?

  @Flag(
    name: .customLong("no-broadcast"),
    help: "Neither send broadcasts to the other members nor take theirs.")
  var noBroadcast = false

  @Flag(
    name: .customLong("no-multicast"),
    help: "Neither send multicasts to the other members nor take theirs.")
  var noMulticast = false

  func validate() throws {
    if let pool, let prefix = address.prefix, prefix.network != pool {
      throw ValidationError(
        "--address \(prefix) is not an address of --pool \(pool): give the two the same prefix")
    }
    if community == nil, secretFile != nil || Locations.environment(CommunitySecret.environmentName) != nil {
      throw ValidationError("a secret is given, but not the name of its community: p2pvpn join COMMUNITY …")
    }
  }

  func run() throws {
    let secret = community == nil ? nil : try CommunitySecret.find(file: secretFile)
    let membership = MembershipOptions(
      community: community ?? Self.publicName, secret: secret, address: address.prefix, pool: pool,
      interface: interface, name: name, broadcasts: !noBroadcast, multicasts: !noMulticast)
    try Startup.run(node.options, membership)
  }
}

/// The value of `--address`: nil for `auto`.
struct WantedAddress {
  let prefix: IPPrefix?

  init(prefix: IPPrefix?) { self.prefix = prefix }

  init(_ text: String) throws { prefix = try Arguments.address(text) }
}

struct SeedCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "seed", abstract: "Help others to find and reach each other; runs in the foreground.",
    discussion:
      "A seed is a member of no community: it has no interface and no keys, and needs no privileges.")

  @OptionGroup var node: NodeArguments

  func run() throws { try Startup.run(node.options, nil) }
}
