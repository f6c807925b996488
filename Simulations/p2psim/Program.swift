// The program `p2psim`: whole networks of the daemon's own nodes on a virtual clock, and the checks of what
// they do.
//
// A subcommand for each scenario, and one that replays what failed before. Exit codes are those of p2pvpn: 0
// all checks hold, 1 a check fails, 2 usage.

import ArgumentParser
import Glibc
import Scenarios

/// The root of all commands.
@main
struct Program: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "p2psim",
    abstract: "Networks of p2pvpn nodes on a virtual clock, checked against the truth.",
    discussion: """
      Every scenario first disturbs a network and checks that it stays safe, then leaves it alone and checks \
      that it becomes whole. The same seed gives the same run, bit for bit, on every machine.

        p2psim churn --nodes 1000 --session 10m --report churn.html
        p2psim swarm --seeds 200 --for 10m --save Simulations/corpus

      Exit codes: 0 all checks hold, 1 a check fails, 2 usage.
      """,
    subcommands: [
      ScenarioCommand<Join, NoChoice>.self, ScenarioCommand<FlashCrowd, NoChoice>.self,
      ScenarioCommand<Churn, SessionChoice>.self, ScenarioCommand<SuddenDeath, FractionChoice>.self,
      ScenarioCommand<PartitionHeal, NoChoice>.self, ScenarioCommand<Merge, NoChoice>.self,
      ScenarioCommand<NATs, MixChoice>.self, ScenarioCommand<Lossy, NoChoice>.self,
      ScenarioCommand<NonTransitive, FractionChoice>.self, ScenarioCommand<Roaming, FractionChoice>.self,
      ScenarioCommand<BootstrapGone, NoChoice>.self, ScenarioCommand<SlowNodes, FractionChoice>.self,
      ScenarioCommand<Broadcasts, SessionChoice>.self, ScenarioCommand<Inquiries, SessionChoice>.self,
      ScenarioCommand<Reunion, NoChoice>.self, ScenarioCommand<Communities, NoChoice>.self,
      SwarmCommand.self, CorpusCommand.self, TreesCommand.self, CrawlsCommand.self,
    ])

  /// Runs the command that was typed. Whatever the parser rejects ends with exit code 2.
  static func main() {
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch let failure as Failure {
      Terminal.complain("p2psim: \(failure.message)")
      Glibc.exit(failure.code)
    } catch is ChecksFailed {
      Glibc.exit(1)
    } catch {
      let text = fullMessage(for: error, columns: nil)
      if exitCode(for: error) == .success {
        print(text)
        Glibc.exit(0)
      }
      Terminal.complain(text)
      Glibc.exit(2)
    }
  }
}

/// Something that cannot be done: what, why, and what to do.
struct Failure: Error {
  let message: String
  var code: Int32 = 1
}

/// A check did not hold; everything about it has been said.
struct ChecksFailed: Error {}
