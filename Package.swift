// swift-tools-version: 6.2
//
// The rooms of the project and who may import whom (the arrows point downwards only):
//
//   p2pvpn ─► Platform ─► Base          the daemon: the only code that touches the machine
//   p2pvpn ─► Node ─► VPN ─► DHT ─► Overlay ─► Session ─► Base      decides everything, touches nothing
//
// Each dependency stands here with its reason.
import PackageDescription

/// Every target: a warning is an error.
let strict: [SwiftSetting] = [.treatAllWarnings(as: .error)]

/// The pure modules also have no unsafe construct that is not marked as such.
let pure: [SwiftSetting] = strict + [.strictMemorySafety()]

/// What the tests of the layers above Session may use: a layer is also tried inside whole nodes.
let layers: [Target.Dependency] = ["Base", "Session", "Overlay", "DHT", "VPN", "Node", "Simulator"]

let package = Package(
  name: "p2pvpn",
  products: [
    .executable(name: "p2pvpn", targets: ["p2pvpn"]),
    .executable(name: "p2psim", targets: ["p2psim"]),
  ],
  dependencies: [
    // Commands, options, help and shell completion.
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    // Levels and metadata of the log; a handler that systemd and people can read.
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
  ],
  targets: [
    // Debian's libsodium-dev: X25519, Ed25519, BLAKE2b, the AEADs, Argon2id.
    .systemLibrary(name: "CSodium", pkgConfig: "libsodium", providers: [.apt(["libsodium-dev"])]),
    // Debian's liblmdb-dev: the store of a node's share of the directory.
    .systemLibrary(name: "CLMDB", pkgConfig: "lmdb", providers: [.apt(["liblmdb-dev"])]),
    // The processor's instruction that fetches a cache line ahead of its use.
    .systemLibrary(name: "CPrefetch"),
    // What the Linux headers express in macros and Swift cannot import.
    .target(name: "CLinux"),
    // AES-256-GCM by libipsec-mb, four to five times as fast as libsodium's: opened at run time where it is
    // installed (Debian's libipsec-mb-dev, x86-64 only).
    .target(name: "CAEAD"),

    // Raw layout: a byte that keeps large structs in their place (`Anchor`).
    .target(
      name: "Base", dependencies: ["CPrefetch"],
      swiftSettings: strict + [.enableExperimentalFeature("RawLayout")]),
    .target(
      name: "Session", dependencies: ["Base", "CAEAD", "CSodium"],
      swiftSettings: strict + [.enableExperimentalFeature("Extern")]),
    .target(name: "Overlay", dependencies: ["Base", "Session"], swiftSettings: pure),
    .target(name: "DHT", dependencies: ["Base", "Session", "Overlay"], swiftSettings: pure),
    .target(name: "VPN", dependencies: ["Base", "Session", "Overlay", "DHT"], swiftSettings: pure),
    .target(
      name: "Node", dependencies: ["Base", "Session", "Overlay", "DHT", "VPN"], swiftSettings: pure),
    .target(
      name: "Platform",
      dependencies: ["Base", "CLinux", "CLMDB"], swiftSettings: strict),
    .executableTarget(
      name: "p2pvpn",
      dependencies: [
        "Base", "Session", "Overlay", "DHT", "VPN", "Node", "Platform",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Logging", package: "swift-log"),
      ],
      swiftSettings: strict),

    // The virtual network in which tests (and later whole simulations) run the daemon's own code.
    .target(
      name: "Simulator", dependencies: ["Base", "Session", "Overlay", "DHT", "VPN", "Node"],
      path: "Simulations/Simulator", swiftSettings: strict),
    // What is simulated, what is checked, and the page about it; then the program that runs it.
    .target(
      name: "Scenarios", dependencies: ["Base", "Session", "Overlay", "Node", "Simulator"],
      path: "Simulations/Scenarios", swiftSettings: strict),
    .executableTarget(
      name: "p2psim",
      dependencies: [
        "Base", "Session", "Simulator", "Scenarios",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      path: "Simulations/p2psim",
      swiftSettings: strict + [.enableExperimentalFeature("Extern")]),

    // Counts allocations, for the test that the way of a packet makes none.
    .target(name: "CMallocCount", path: "Tests/Support/CMallocCount"),
    // CAEAD as it is built where libipsec-mb's header is missing.
    .target(name: "CAEADAbsent", dependencies: ["CAEAD"], path: "Tests/Support/CAEADAbsent"),

    .testTarget(name: "BaseTests", dependencies: ["Base"], swiftSettings: strict),
    .testTarget(
      name: "SessionTests", dependencies: ["Session", "CAEAD", "CAEADAbsent", "CMallocCount", "CSodium"],
      swiftSettings: strict),
    .testTarget(name: "OverlayTests", dependencies: layers, swiftSettings: strict),
    .testTarget(name: "DHTTests", dependencies: layers, swiftSettings: strict),
    .testTarget(name: "VPNTests", dependencies: layers + ["CMallocCount"], swiftSettings: strict),
    .testTarget(name: "NodeTests", dependencies: layers + ["CMallocCount"], swiftSettings: strict),
    .testTarget(
      name: "PlatformTests", dependencies: ["Platform", "CMallocCount"], swiftSettings: strict),
    .testTarget(
      name: "ProgramTests",
      dependencies: ["p2pvpn", "Base", "Session", "Overlay", "VPN", "Node", "Platform"],
      swiftSettings: strict),
    .testTarget(
      name: "SimulationTests", dependencies: layers + ["Scenarios", "p2psim"], swiftSettings: strict),
    .testTarget(name: "TidyTests", swiftSettings: strict),
  ],
  swiftLanguageModes: [.v6]
)
