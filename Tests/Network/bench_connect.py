#!/usr/bin/env python3
"""`make bench-connect`: how fast p2pvpn connects, what an idle member costs, and what a relay passes on.

    bench_connect.py                    # one round
    bench_connect.py --rounds 3 --tests relay --json FILE

Host a runs a seed and a member, host b a second member, which is what is measured:

  connect     from starting `join` to the first ping answered, by a node that already has an
              identity, and by one that has to make one (a fresh machine)
  idle        memory (VmRSS) and share of one core, after 30 s without traffic

Then, in another laboratory, two members and a seed, each with a cable to one router:

  relay       goodput between the members when a firewall lets them talk through the seed only (path
              `proxy`), what the seed's process uses of a core for each GB by TCP and UDP, and the same two directly;
              beside it, through the kernel of the seed's machine, which changes addresses and forwards
              (nftables). No cable here carries more than one packet at a time (no offloads), so that
              all of them forward packets of the same size.

`make bench` measures goodput and round trips, beside other VPNs. All ends and the kernel share this machine's
cores. Figures are medians over rounds; a note says when other programs kept the machine busy."""
import argparse
import os
import statistics
import sys
import time

from daemon import BINARY, p2pvpn
from fleet import Fleet
from machine import BUSY, cpu_seconds, keep, memory_mb, wait_quiet
from netlab import exit_on_signals, obstacle
from traffic import first_reply, percentile, throughput, udp_throughput

TESTS = ("connect", "idle", "relay")
CALM = 100e6        # bit/s that any relay passes on without loss: what a packet costs it


# ---- one round ----------------------------------------------------------------------

def measure(args, say):
    """Every figure once (connection times as often as asked for)."""
    figures = {"load_before": wait_quiet()}
    if {"connect", "idle"} & set(args.tests):
        with Fleet() as fleet:
            fleet.lab.pair()
            seed = fleet.seed("a")
            one = fleet.joined("a", seed)
            for kind in ("known", "fresh") if "connect" in args.tests else ():
                say(f"connecting, {kind} identity")
                figures[f"connect_{kind}_s"] = [connect(fleet, seed, one, kind) for _ in range(args.joins)]
            if "idle" in args.tests:
                two = fleet.joined("b", seed)
                first_reply(fleet.lab["b"], one.address(), 10)
                two.wait_path(one, ("lan", "direct"))
                say(f"idle for {args.idle} s")
                figures.update(idle(two, args.idle))
    if "relay" in args.tests:
        figures["relay"] = relayed(args, say)
    return figures


def relayed(args, say):
    """Goodput from p2 to p3 directly, through the relay p1, and through the kernel of p1."""
    with Fleet() as fleet:
        fleet.lab.nat(public=3)
        fleet.lab.offloads("off")
        p1, p2, p3, internet = (fleet.lab[name] for name in ("p1", "p2", "p3", "internet"))
        p1.lead(5201, p3)
        say("through a forwarding kernel")
        kernel = [measured(p2, p3, p3.ip, args.seconds, via=p1.ip) / 1e6
                  for measured in (throughput, udp_throughput)]
        seed = fleet.seed("p1", "--relay", "10gbit")
        a, b = fleet.joined("p2", seed), fleet.joined("p3", seed)
        first_reply(p2, b.address(), 10)
        a.wait_path(b, ("direct",)), b.wait_path(a, ("direct",))
        say("directly")
        direct = throughput(p2, p3, b.address(), args.seconds) / 1e6
        internet.forbid(p2, p3)
        a.wait_path(b, ("proxy",)), b.wait_path(a, ("proxy",))
        say("through a relay")
        before = cpu_seconds(seed.process.pid)
        relay = throughput(p2, p3, b.address(), args.seconds) / 1e6
        used = cpu_seconds(seed.process.pid) - before
        relay_udp = udp_throughput(p2, p3, b.address(), args.seconds) / 1e6
        before = cpu_seconds(seed.process.pid)
        calm = udp_throughput(p2, p3, b.address(), args.seconds, top=CALM) / 1e6
        used_udp = cpu_seconds(seed.process.pid) - before
        return {"kernel_tcp_mbit": kernel[0], "kernel_udp_mbit": kernel[1], "direct_tcp_mbit": direct,
                "relay_tcp_mbit": relay, "relay_udp_mbit": relay_udp,
                "relay_cpu_s_per_gb": used / (relay * args.seconds / 8000),
                "relay_udp_cpu_s_per_gb": used_udp / (calm * args.seconds / 8000) if calm else 0}


def connect(fleet, seed, other, kind):
    """Seconds from starting a new node to its first answered ping."""
    address = other.address()
    state = fleet.folder / f"node-{time.monotonic_ns()}"
    if kind == "known":         # a seed's state is an identity and nothing about the community
        maker = fleet.seed("b", "--listen", ":7800", state=state)
        maker.terminate()
    node = fleet.join("b", seed, state=state)
    answered = first_reply(fleet.lab["b"], address, 20)
    if not answered:
        raise AssertionError(f"no ping was answered within 20 s\n{fleet.tails()}")
    node.terminate()
    return answered - node.started_at


def idle(node, seconds):
    before, start = cpu_seconds(node.process.pid), time.monotonic()
    time.sleep(seconds)
    used = cpu_seconds(node.process.pid) - before
    return {"idle_rss_mb": memory_mb(node.process.pid),
            "idle_cpu_percent": 100 * used / (time.monotonic() - start)}


# ---- the table --------------------------------------------------------------------------

def summarize(rounds):
    """One figure each: medians over rounds, percentiles over all connection times."""
    def middle(figures):
        return {key: statistics.median(f[key] for f in figures) for key in figures[0]}

    def joins(kind):
        times = sorted(t for r in rounds for t in r[f"connect_{kind}_s"])
        return {"p50": percentile(times, .5), "p99": percentile(times, .99), "runs": len(times)}
    summary = {}
    if "connect_known_s" in rounds[0]:
        summary["connect_s"] = {kind: joins(kind) for kind in ("known", "fresh")}
    if "idle_rss_mb" in rounds[0]:
        summary["idle"] = middle([{key: r[key] for key in ("idle_rss_mb", "idle_cpu_percent")} for r in rounds])
    if "relay" in rounds[0]:
        summary["relay"] = middle([r["relay"] for r in rounds])
    return summary


def table(s):
    row = "  {:<44}{:>12}{:>12}{:>10}".format
    lines = []
    if "connect_s" in s:
        lines += ["", row("join until the first ping is answered", "p50 s", "p99 s", "runs")]
        lines += [row(f"  {kind} identity", f"{t['p50']:.2f}", f"{t['p99']:.2f}", t["runs"])
                  for kind, t in s["connect_s"].items()]
    if "idle" in s:
        lines += ["", row("an idle member", "", "", ""),
                  row("  resident memory, MB", f"{s['idle']['idle_rss_mb']:.1f}", "", ""),
                  row("  share of one core, %", f"{s['idle']['idle_cpu_percent']:.2f}", "", "")]
    if "relay" in s:
        lines += relay_lines(s["relay"], row)
    return "\n".join(lines) + "\n"


def relay_lines(relay, row):
    lines = ["", row("through a third machine", "its kernel", "p2pvpn", "ratio")]
    for key, title in (("tcp", "TCP, Mbit/s"), ("udp", "UDP with less than 5 % lost, Mbit/s")):
        kernel, ours = relay[f"kernel_{key}_mbit"], relay[f"relay_{key}_mbit"]
        lines.append(row(f"  {title}", f"{kernel:.0f}", f"{ours:.0f}", f"{ours / kernel:.3f}" if kernel else ""))
    return lines + [row("  TCP directly, for comparison, Mbit/s", "", f"{relay['direct_tcp_mbit']:.0f}", ""),
                    row("  the relay's processor time, TCP, s per GB", "", f"{relay['relay_cpu_s_per_gb']:.2f}", ""),
                    row("  the same, UDP at 100 Mbit/s", "", f"{relay['relay_udp_cpu_s_per_gb']:.2f}", "")]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--joins", type=int, default=10, help="connection times per kind and round")
    parser.add_argument("--idle", type=float, default=30, help="seconds without traffic")
    parser.add_argument("--seconds", type=int, default=5, help="per iperf3 run")
    parser.add_argument("--json", metavar="FILE", help="also write every sample there")
    parser.add_argument("--tests", default=",".join(TESTS), help="some of %(default)s")
    args = parser.parse_args()
    args.tests = args.tests.split(",")
    if set(args.tests) - set(TESTS):
        parser.error(f"--tests: some of {', '.join(TESTS)}")
    problem = obstacle()
    if problem:
        sys.exit(f"bench-connect: {problem}")
    if not os.access(BINARY, os.X_OK):
        sys.exit(f"bench-connect: there is no program at {BINARY}; `make build` builds it")
    exit_on_signals()

    rounds = []
    for n in range(args.rounds):
        def say(what):
            print(f"[{n + 1}/{args.rounds}] {what}", file=sys.stderr, flush=True)
        rounds.append(measure(args, say))
        if rounds[-1]["load_before"] > BUSY:
            say(f"NOTE: others kept {rounds[-1]['load_before']:.0%} of the machine busy before this round")
    summary = summarize(rounds)
    print(table(summary))
    if args.json:
        keep(args, summary, rounds, version=p2pvpn("version").stdout.strip())
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except AssertionError as problem:
        sys.exit(f"bench-connect: {problem}")
