#!/usr/bin/env python3
"""`make bench`: the data plane of p2pvpn beside other VPNs, between two network namespaces joined by one cable.

    bench.py                                        # the bare cable, p2pvpn, and every other VPN that is installed
    bench.py --rounds 3 --vpn ours --vpn wireguard-go
    bench.py --vpn ours --vpn ours:env=NAME=VALUE,name=variant --vpn nebula:cipher=chachapoly,name=nebula-chacha
    bench.py --offload off --tests tcp1,ping        # no superpackets on the cable; some of the figures
    bench.py --rate 100mbit --loss 1 --delay 20

In each round every VPN is started, measured and stopped, one after the other, and each round begins with another
one. The bare cable is always among them. Before each VPN the program waits until nobody else uses the machine;
if somebody does meanwhile, the VPN is measured again, and if that does not help the table says so.

  ping   round trips through the idle tunnel, 500 at 10 ms
  tcp1   iperf3, one TCP stream, each way; of these runs also the processor time (user and system) of the VPN's
         processes at both ends, and of the whole machine, for each GB (10^9 bytes) that arrived
  tcp4   the same with four streams
  load   round trips a > b beside one TCP stream of that direction
  udp    datagrams of 1,200 bytes in batches (UDP_SEGMENT and UDP_GRO, as QUIC programs send them), counted at the
         receiver: all that the sender can, and the highest rate of which less than 1 % is lost
  pps    datagrams of 64 bytes by iperf3: the highest rate of which less than 1 % is lost

Memory is that of host b's processes: VmRSS after connecting, VmHWM at the end.

Sender, receiver, both ends of the VPN and the kernel share this machine's cores: a figure is the cost of the whole
path, and its ratio says more than itself. With --offload on the cable carries 64 KB superpackets uncut, as a
network card does that segments in hardware; `nic` cuts before the cable and joins again behind it, `off` does
neither. VPNs keep the MTU that they have by default, unless it is given. UDP figures close to the cable's are
limits of the sender."""
import argparse
import json
import pathlib
import sys
import time

import peers                                                # noqa: F401, makes the other VPNs known
import plot
from bench_table import BARE, OURS, markdown, rows, summarize, text
from contender import KNOWN, parse
from daemon import ROOT
from datagrams import udp_batches
from fleet import Fleet
from machine import busy_seconds, cpu_seconds, foreign_seconds, keep, memory_mb, wait_quiet
from netlab import exit_on_signals, obstacle, stop
from traffic import iperf3, percentile, round_trips
from waiting import until

TESTS = ("ping", "tcp1", "tcp4", "load", "udp", "pps")
INTERVAL = 0.01             # s between pings
LOST_MAX = 1.0              # percent, beyond which a rate is too high
PROBES_MAX = 8              # for a rate that is fine and one that is not; beyond them it is not the rate
FOREIGN_MAX = 0.1           # cores that others may use while we measure
DATAGRAM, SMALL = 1200, 64  # bytes of payload
CONNECT_LIMIT = 30          # s


# ---- single figures ----------------------------------------------------------------

def highest(attempt, steps):
    """What came at the highest rate with little loss, and (rate, percent lost) of everything the sender can.

    `attempt(rate)` is (rate that came, percent lost); its rate 0 is no limit. From what came then it goes down
    until a rate is fine, or up until one is not, as a flood may let less through than a lower rate; then it makes
    so many steps of bisection between the two. The figure is 0 if no rate was fine."""
    blast = came, lost = attempt(0)
    if lost < LOST_MAX:
        return came, blast
    rate, good, bad, best = came * 0.9, 0.0, None, 0.0
    for _ in range(PROBES_MAX):
        if good and bad:
            break
        came, lost = attempt(rate)
        if lost < LOST_MAX:
            good, best = rate, max(best, came)
            if came < 0.9 * rate:           # the sender cannot do more
                return best, blast
            rate *= 1.4
        else:
            bad = rate
            rate /= 2
    for _ in range(steps if good and bad else 0):
        rate = (good + bad) / 2
        came, lost = attempt(rate)
        if lost < LOST_MAX:
            good, best = rate, max(best, came)
        else:
            bad = rate
    return best, blast


def tcp(vpn, way, streams, seconds):
    """(Gbit/s, GB that arrived, seconds of the VPN's processes, of the machine)."""
    source, destination = vpn.hosts if way == "ab" else vpn.hosts[::-1]
    address = vpn.addresses[1 if way == "ab" else 0]
    pids = [process.pid for side in vpn.processes for process in side]
    vpn_before, machine_before = sum(map(cpu_seconds, pids)), busy_seconds()
    end = iperf3(source, destination, address, address, ["-t", seconds, "-P", streams])["sum_received"]
    return (end["bits_per_second"] / 1e9, end["bytes"] / 1e9,
            sum(map(cpu_seconds, pids)) - vpn_before, busy_seconds() - machine_before)


def pings(vpn, count):
    times = round_trips(vpn.hosts[0], vpn.addresses[1], count, INTERVAL)
    if not times:
        raise RuntimeError("no ping was answered")
    return {"rtt_p50_ms": percentile(times, .5), "rtt_p99_ms": percentile(times, .99),
            "ping_lost": count - len(times)}


def loaded_pings(vpn, args):
    """Round trips beside a stream that begins before them and ends after them."""
    a, b = vpn.hosts
    server = b.popen(["iperf3", "-s", "-1", "-B", vpn.addresses[1]])
    until("iperf3's server", lambda: ":5201 " in b.run(["ss", "-Hltn"]), 5)
    client = a.popen(["iperf3", "-c", vpn.addresses[1], "-t", args.seconds + 5])
    time.sleep(0.5)             # of slow start
    found = pings(vpn, max(10, round(args.seconds / INTERVAL)))
    if client.poll() is not None:
        raise RuntimeError("the stream beside the pings ended early")
    stop([client, server], grace=0.5)
    return {f"busy_{key}": value for key, value in found.items()}


def small_datagrams(vpn, rate, seconds):
    """(datagrams/s that came, percent lost) at a rate of datagrams/s."""
    options = ["-t", seconds, "-u", "-l", SMALL, "-b", round(rate * SMALL * 8)]
    end = iperf3(*vpn.hosts, vpn.addresses[1], vpn.addresses[1], options)["sum"]
    return (end["packets"] - end["lost_packets"]) / end["seconds"], end["lost_percent"]


# ---- one VPN in one round -------------------------------------------------------------

def measure(vpn, args, say):
    """Every figure once; again if somebody else used the machine meanwhile. Failures are a figure, too."""
    for attempt in range(1 + args.again):
        quiet = wait_quiet(args.patience)
        foreign, start = foreign_seconds(), time.monotonic()
        figures = {}
        try:
            measure_once(vpn, args, say, figures)
        except Exception as problem:                        # noqa: BLE001, one VPN must not end the others' round
            figures["error"] = str(problem)[:6000]
        figures["load_before"] = quiet
        figures["foreign_cores"] = (foreign_seconds() - foreign) / (time.monotonic() - start)
        if figures["foreign_cores"] < FOREIGN_MAX:
            break
        say(f"others used {figures['foreign_cores']:.2f} cores meanwhile{', again' * (attempt < args.again)}")
    return figures


def measure_once(vpn, args, say, figures):
    """Starts a VPN, measures it and stops it. A failure brings what the VPN had to say."""
    with Fleet() as fleet:
        fleet.lab.pair(delay=args.delay)
        fleet.lab.offloads(args.offload)
        fleet.lab.shape("a", rate=args.rate, loss=args.loss)
        vpn.begin(fleet)
        try:
            vpn.connect(CONNECT_LIMIT)
            take(vpn, args, say, figures)
            ended = [process.args for side in vpn.processes for process in side if process.poll() is not None]
            if ended:
                raise RuntimeError(f"it ended meanwhile: {' '.join(map(str, ended[0]))}")
        except Exception as problem:
            raise RuntimeError(f"{problem}\n{vpn.logs()}") from problem


def take(vpn, args, say, figures):
    """All figures of a VPN that is up."""
    step = max(1, round(args.seconds * 0.4))        # s, for each attempt of a search
    there = [process.pid for process in vpn.processes[1]]
    if there:
        figures["rss_idle_mb"] = sum(map(memory_mb, there))
    if "ping" in args.tests:
        say("ping")
        figures.update(pings(vpn, args.pings))
    used = []
    for streams in (n for n in (1, 4) if f"tcp{n}" in args.tests):
        for way in ("ab", "ba"):
            say(f"tcp{streams} {way}")
            figures[f"tcp{streams}_{way}_gbit"], *cost = tcp(vpn, way, streams, args.seconds)
            used += [cost] if streams == 1 else []
    if used:
        arrived, vpn_time, machine_time = map(sum, zip(*used))
        figures["machine_cpu_s_per_gb"] = machine_time / arrived
        if there:
            figures["vpn_cpu_s_per_gb"] = vpn_time / arrived
    if "load" in args.tests:
        say("load")
        figures.update(loaded_pings(vpn, args))
    if "udp" in args.tests:
        say("udp")
        figures.update(large_datagrams(vpn, args, step))
    if "pps" in args.tests:
        say("pps")
        figures["pps"], (figures["pps_blast"], figures["pps_blast_lost_percent"]) = highest(
            lambda rate: small_datagrams(vpn, rate, step), args.steps)
    if there:
        figures["rss_peak_mb"] = sum(memory_mb(pid, "VmHWM") for pid in there)


def large_datagrams(vpn, args, step):
    batches = []

    def attempt(rate):
        came, lost, batch = udp_batches(*vpn.hosts, vpn.addresses[1], DATAGRAM, args.batch,
                                        step if rate else args.seconds, rate)
        batches.append(batch)
        return came, lost
    best, (blast, lost) = highest(attempt, args.steps)
    return {"udp_gbit": best / 1e9, "udp_blast_gbit": blast / 1e9, "udp_blast_lost_percent": lost,
            "udp_batch": min(batches)}


# ---- all of them ----------------------------------------------------------------------

def chosen(args):
    """The VPNs to measure, and a line about each that is missing."""
    texts = args.vpn or [name for name in KNOWN if name != BARE]
    vpns = [parse(text) for text in [BARE, *(t for t in texts if t != BARE)]]
    for vpn in vpns:
        if vpn.name == OURS and "bin" not in vpn.options:
            vpn.program = str(pathlib.Path(args.binary or vpn.program).absolute())
    labels = [vpn.label for vpn in vpns]
    twice = next((label for label in labels if labels.count(label) > 1), None)
    if twice:
        raise ValueError(f"two VPNs are called {twice!r}: give one of them name=")
    lines = []
    for vpn in vpns:
        if vpn.missing() and vpn.name == OURS:
            raise ValueError(f"there is no program at {vpn.program}; `make build` builds it")
        if vpn.missing():
            lines.append(f"missing: {vpn.label} ({', '.join(vpn.missing())}; packages {vpn.package}; `make peers`)")
    return [vpn for vpn in vpns if not vpn.missing()], lines


def rotated(items, n):
    """The order of round n."""
    n %= len(items)
    return items[n:] + items[:n]


def remarks(samples):
    """A line for each VPN that failed, or that others disturbed."""
    for label, measured in samples.items():
        failed = [s["error"] for s in measured if "error" in s]
        busy = [s["foreign_cores"] for s in measured if s["foreign_cores"] >= FOREIGN_MAX]
        if failed:
            yield f"FAILED: {label}, {len(failed)} of {len(measured)} rounds: {failed[0].splitlines()[0]}"
        if busy:
            yield (f"NOTE: others used the machine in {len(busy)} of {len(measured)} rounds of {label}: "
                   f"{', '.join(f'{cores:.2f}' for cores in busy)} cores")


def arguments(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vpn", action="append", default=[], metavar="NAME[:KEY=VALUE,...]",
                        help="may be repeated; without it, all that are installed")
    parser.add_argument("--list", action="store_true", help="show what is known and what is installed")
    parser.add_argument("--binary", metavar="FILE", help="another p2pvpn")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seconds", type=int, default=5, help="of each transfer")
    parser.add_argument("--tests", default=",".join(TESTS), help="some of %(default)s")
    parser.add_argument("--pings", type=int, default=500)
    parser.add_argument("--batch", type=int, default=20, help="datagrams of 1,200 bytes in one call, 1 to 54")
    parser.add_argument("--steps", type=int, default=3, help="of bisection for the highest rate without loss")
    parser.add_argument("--offload", choices=("on", "nic", "off"), default="on", help="of the cable")
    parser.add_argument("--rate", help="of the cable, such as 100mbit")
    parser.add_argument("--loss", type=float, default=0, help="of the cable, percent each way")
    parser.add_argument("--delay", type=float, default=0, help="of the cable, ms each way")
    parser.add_argument("--patience", type=float, default=30, help="s to wait for a quiet machine")
    parser.add_argument("--again", type=int, default=2, help="times a disturbed VPN is measured again in a round")
    parser.add_argument("--json", metavar="FILE", default=str(ROOT / ".build/bench.json"))
    parser.add_argument("--svg", metavar="FILE", default=str(ROOT / ".build/bench.svg"))
    parser.add_argument("--show", metavar="FILE", help="measure nothing; table and plot of what --json has written")
    parser.add_argument("--markdown", action="store_true", help="print the table for a document")
    args = parser.parse_args(argv)
    args.tests = args.tests.split(",")
    if set(args.tests) - set(TESTS):
        parser.error(f"--tests: some of {', '.join(TESTS)}")
    if not 1 <= args.batch <= 54:       # 54 datagrams are the most that fit into one UDP payload
        parser.error("--batch: from 1 to 54")
    return args


def show_list():
    for name, kind in KNOWN.items():
        vpn = kind()
        state = f"not installed: {' '.join(vpn.missing())}" if vpn.missing() else vpn.version()
        print(f"{name:14} {state:40} {' '.join(kind.__doc__.split())}")


def report(samples, about, args):
    """Prints the table and draws the plot; `about` is what is kept of each VPN. Returns the summary."""
    ours = [label for label, vpn in about.items() if vpn["vpn"] == OURS]
    summary = summarize(samples)
    rounds = len(samples[BARE])
    said = f"{rounds} round{'s' * (rounds != 1)}, offloads of the cable {args.offload}"
    lines = rows(summary, ours)
    print(f"\nmedians of {said}\n\n{markdown(lines) if args.markdown else text(lines)}\n")
    for line in remarks(samples):
        print(line)
    versions = ", ".join(f"{label} ({v['version']})" for label, v in about.items() if label != BARE)
    prepare(args.svg).write_text(plot.svg(summary, ours, f"{versions}; {said}"))
    print(f"plot: {args.svg}")
    return summary


def prepare(name):
    """A file whose folder exists."""
    file = pathlib.Path(name).absolute()
    file.parent.mkdir(parents=True, exist_ok=True)
    return file


def show(args):
    """The table and the plot of what an earlier run has kept."""
    kept = json.loads(pathlib.Path(args.show).read_text())
    args.offload = kept["settings"]["offload"]
    report(kept["rounds"], kept["vpns"], args)


def main(argv=None):
    args = arguments(argv)
    if args.list or args.show:
        return show_list() if args.list else show(args)
    try:
        vpns, missing = chosen(args)
    except ValueError as problem:
        sys.exit(f"bench: {problem}")
    problem = obstacle()
    if problem:
        sys.exit(f"bench: {problem}")
    exit_on_signals()
    for line in missing:
        print(line, file=sys.stderr)
    samples = {vpn.label: [] for vpn in vpns}
    ended = 0
    try:
        for n in range(args.rounds):
            for vpn in rotated(vpns, n):
                def say(what, head=f"[{n + 1}/{args.rounds}] {vpn.label}"):
                    print(f"{head}: {what}", file=sys.stderr, flush=True)
                samples[vpn.label].append(measure(vpn, args, say))
                if "error" in samples[vpn.label][-1]:
                    say(samples[vpn.label][-1]["error"])
    except KeyboardInterrupt:
        print("interrupted; what there is:", file=sys.stderr)
        ended = 130
    about = {vpn.label: {"vpn": vpn.name, "version": vpn.version(), "options": vpn.options, "env": vpn.more_env}
             for vpn in vpns}
    summary = report(samples, about, args)
    prepare(args.json)
    keep(args, summary, samples, vpns=about)
    print(f"every sample: {args.json}", flush=True)
    return ended


if __name__ == "__main__":
    sys.exit(main())
