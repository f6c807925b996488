// The program `p2pvpn`: its commands, and how it ends.

import ArgumentParser
import Glibc

/// The root of all commands.
@main
struct Program: ParsableCommand {
  static let version = "0.1.0"

  static let configuration = CommandConfiguration(
    commandName: "p2pvpn",
    abstract: "Virtual private networks with no server in the middle.",
    discussion: """
      Every node runs this program. Members of a community share its name and its secret; a seed only helps \
      others to find each other.

        p2pvpn keygen > home.key
        p2pvpn join home --bootstrap seed.example.org --secret-file home.key
        p2pvpn status

      Exit codes: 0 ok, 1 failed, 2 usage, 3 no running node, 4 not permitted, 5 timed out, 6 not found, \
      7 not ready.
      """,
    version: version,
    subcommands: [
      JoinCommand.self, SeedCommand.self, StatusCommand.self, PeersCommand.self, PingCommand.self,
      LookupCommand.self, TraceCommand.self, PathCommand.self, CrawlCommand.self, MapReduceCommand.self,
      EventsCommand.self, LogCommand.self,
      CallCommand.self, LeaveCommand.self, KeygenCommand.self, VersionCommand.self,
    ])

  /// Runs the command that was typed. Whatever the parser rejects ends with exit code 2.
  static func main() {
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch let failure as Failure {
      "p2pvpn: \(failure.message)".toStandardError()
      Glibc.exit(failure.status.rawValue)
    } catch {
      let text = fullMessage(for: error, columns: nil)
      if exitCode(for: error) == .success {
        print(text)
        Glibc.exit(ExitStatus.ok.rawValue)
      }
      text.toStandardError()
      Glibc.exit(ExitStatus.usage.rawValue)
    }
  }
}
