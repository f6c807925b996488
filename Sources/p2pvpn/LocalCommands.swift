// The commands that need no node.

import ArgumentParser
import Platform
import Session

struct KeygenCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "keygen", abstract: "Print a fresh secret for a community.",
    discussion: "Whoever has it is a member: p2pvpn keygen > home.key")

  func run() {
    var random = SecureRandom(seed: Entropy.bytes(Key.byteCount))
    print(SecretText.make(&random))
  }
}

struct VersionCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "version", abstract: "Print the program's version.")

  @Flag(name: .long, help: "Print JSON.")
  var json = false

  func run() {
    guard json else { return print("p2pvpn \(Program.version)") }
    let version: JSON = ["schema": 1, "version": .string(Program.version)]
    print(version.text)
  }
}
