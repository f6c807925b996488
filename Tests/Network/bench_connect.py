#!/usr/bin/env python3
"""`make bench`: what p2pvpn costs and how fast it connects, between network namespaces.

    bench.py                    # one round
    bench.py --rounds 3 --json FILE

Host a runs a seed and a member, host b a second member, which is what is measured:

  connect     from starting `join` to the first ping answered, by a node that already has an
              identity, and by one that has to make one (a fresh machine)
  idle        memory (VmRSS) and share of one core, after 30 s without traffic
  round trip  500 pings at 10 ms, beside the bare cable
  goodput     iperf3, one TCP stream each way, beside the bare cable

Then, in another laboratory, two members and a seed, each with a cable to one router:

  relay       goodput between the members when a firewall lets them talk through the seed only (path
              `proxy`), what the seed's process uses of a core for each GB by TCP and UDP, and the same two directly;
              beside it, through the kernel of the seed's machine, which changes addresses and forwards
              (nftables). No cable here carries more than one packet at a time (no offloads), so that
              all of them forward packets of the same size.

Sender, receiver, both daemons and the kernel share this machine's cores, so goodput is the
cost of the whole path: compare it with the bare cable, not with a network card. Figures are
medians over rounds; a note says when other programs kept the machine busy."""
import argparse
import json
import os
import platform
import statistics
import sys
import time

from daemon import BINARY, p2pvpn
from fleet import Fleet
from netlab import exit_on_signals, obstacle
from traffic import first_reply, percentile, round_trips, throughput, udp_throughput

PINGS, INTERVAL = 500, 0.01
CALM = 100e6        # bit/s that any relay passes on without loss: what a packet costs it
BUSY = 0.1          # share of the machine that others may use before we say so


def keep(args, summary, rounds, **what):
    """Writes what was measured, when, and on which machine."""
    machine = {"kernel": platform.release(), "cpus": os.cpu_count(), "machine": platform.machine()}
    document = {**what, "date": time.strftime("%FT%TZ", time.gmtime()), "machine": machine,
                "settings": vars(args), "summary": summary, "rounds": rounds}
    with open(args.json, "w") as file:
        json.dump(document, file, indent=1)
        file.write("\n")


# ---- the machine ------------------------------------------------------------------

def cpu_seconds(pid):
    """Time that all threads of a process have run, to the microsecond."""
    folder = f"/proc/{pid}/task"
    return sum(int(open(f"{folder}/{task}/schedstat").read().split()[0]) for task in os.listdir(folder)) / 1e9


def resident_mb(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024


def machine_load(seconds=1.0):
    """Busy share of all cores while we do nothing."""
    def read():
        with open("/proc/stat") as stat:
            ticks = [int(x) for x in stat.readline().split()[1:9]]
        return sum(ticks) - ticks[3] - ticks[4], sum(ticks)
    busy, total = read()
    time.sleep(seconds)
    busy, total = [now - then for now, then in zip(read(), (busy, total))]
    return busy / max(1, total)


def wait_quiet(limit=20):
    end = time.monotonic() + limit
    while (load := machine_load()) > BUSY and time.monotonic() < end:
        pass
    return load


# ---- one round ----------------------------------------------------------------------

def measure(args, say):
    """Every figure once (connection times as often as asked for)."""
    figures = {"load_before": wait_quiet()}
    with Fleet() as fleet:
        fleet.lab.pair()
        a, b = fleet.lab["a"], fleet.lab["b"]
        say("bare cable")
        figures["bare"] = speed(a, b, a.ip, b.ip, args)
        seed = fleet.seed("a")
        one = fleet.joined("a", seed)
        for kind in ("known", "fresh"):
            say(f"connecting, {kind} identity")
            figures[f"connect_{kind}_s"] = [connect(fleet, seed, one, kind) for _ in range(args.joins)]
        two = fleet.joined("b", seed)
        first_reply(b, one.address(), 10)
        two.wait_path(one, ("lan", "direct"))
        say(f"idle for {args.idle} s")
        figures.update(idle(two, args.idle))
        say("through the VPN")
        figures["vpn"] = speed(a, b, one.address(), two.address(), args)
        figures["rss_after_mb"] = resident_mb(two.process.pid)
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
        kernel = [measured(p2, p3, p3.ip, args.seconds, via=p1.ip) / 1e6 for measured in (throughput, udp_throughput)]
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
    return {"idle_rss_mb": resident_mb(node.process.pid),
            "idle_cpu_percent": 100 * used / (time.monotonic() - start)}


def speed(a, b, address_a, address_b, args):
    times = round_trips(a, address_b, PINGS, INTERVAL)
    if not times:
        raise AssertionError(f"no ping to {address_b} was answered")
    return {"rtt_p50_ms": percentile(times, .5), "rtt_p99_ms": percentile(times, .99),
            "ping_lost": PINGS - len(times),
            "tcp_ab_mbit": throughput(a, b, address_b, args.seconds) / 1e6,
            "tcp_ba_mbit": throughput(b, a, address_a, args.seconds) / 1e6}


# ---- the table --------------------------------------------------------------------------

def summarize(rounds):
    """One figure each: medians over rounds, percentiles over all connection times."""
    def middle(pick):
        return statistics.median(pick(r) for r in rounds)

    def joins(kind):
        times = sorted(t for r in rounds for t in r[f"connect_{kind}_s"])
        return {"p50": percentile(times, .5), "p99": percentile(times, .99), "runs": len(times)}
    paths = {way: {key: middle(lambda r: r[way][key]) for key in rounds[0][way]} for way in ("bare", "vpn", "relay")}
    return {"connect_s": {kind: joins(kind) for kind in ("known", "fresh")}, **paths,
            **{key: middle(lambda r: r[key]) for key in ("idle_rss_mb", "idle_cpu_percent", "rss_after_mb")}}


def table(s):
    bare, vpn, connected = s["bare"], s["vpn"], s["connect_s"]
    row = "  {:<44}{:>12}{:>12}{:>10}".format
    lines = ["", row("join until the first ping is answered", "p50 s", "p99 s", "runs")]
    lines += [row(f"  {kind} identity", f"{t['p50']:.2f}", f"{t['p99']:.2f}", t["runs"])
              for kind, t in connected.items()]
    lines += ["", row("an idle member", "", "", ""),
              row("  resident memory, MB", f"{s['idle_rss_mb']:.1f}", "", ""),
              row("  share of one core, %", f"{s['idle_cpu_percent']:.2f}", "", ""),
              row("  resident memory after the traffic, MB", f"{s['rss_after_mb']:.1f}", "", ""), "",
              row("traffic", "bare cable", "p2pvpn", "ratio")]
    for key, title, places in (("rtt_p50_ms", "ping p50, ms", 3), ("rtt_p99_ms", "ping p99, ms", 3),
                               ("ping_lost", f"pings lost of {PINGS}", 0),
                               ("tcp_ab_mbit", "TCP a > b, Mbit/s", 0),
                               ("tcp_ba_mbit", "TCP b > a, Mbit/s", 0)):
        ratio = f"{vpn[key] / bare[key]:.3f}" if bare[key] else ""
        lines.append(row(f"  {title}", f"{bare[key]:.{places}f}", f"{vpn[key]:.{places}f}", ratio))
    relay = s["relay"]
    lines += ["", row("through a third machine", "its kernel", "p2pvpn", "ratio")]
    for key, title in (("tcp", "TCP, Mbit/s"), ("udp", "UDP with less than 5 % lost, Mbit/s")):
        kernel, ours = relay[f"kernel_{key}_mbit"], relay[f"relay_{key}_mbit"]
        lines.append(row(f"  {title}", f"{kernel:.0f}", f"{ours:.0f}", f"{ours / kernel:.3f}" if kernel else ""))
    lines += [row("  TCP directly, for comparison, Mbit/s", "", f"{relay['direct_tcp_mbit']:.0f}", ""),
              row("  the relay's processor time, TCP, s per GB", "", f"{relay['relay_cpu_s_per_gb']:.2f}", ""),
              row("  the same, UDP at 100 Mbit/s", "", f"{relay['relay_udp_cpu_s_per_gb']:.2f}", "")]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--joins", type=int, default=10, help="connection times per kind and round")
    parser.add_argument("--idle", type=float, default=30, help="seconds without traffic")
    parser.add_argument("--seconds", type=int, default=5, help="per iperf3 run")
    parser.add_argument("--json", metavar="FILE", help="also write every sample there")
    args = parser.parse_args()
    problem = obstacle()
    if problem:
        sys.exit(f"bench: {problem}")
    if not os.access(BINARY, os.X_OK):
        sys.exit(f"bench: there is no program at {BINARY}; `make build` builds it")
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
        sys.exit(f"bench: {problem}")
