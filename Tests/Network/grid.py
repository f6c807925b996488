#!/usr/bin/env python3
"""`make grid`: who reaches whom, how fast, and by which path: every kind of network against every other.

    grid.py                                     # each pair once: some minutes
    grid.py --runs 5 --json FILE
    grid.py --pairs 'symmetric|double' --delay 20
    grid.py --crowd 24                          # first packets between nodes that are no neighbours

Each run is a fresh laboratory with one public seed and two members. A second after both are ready, when
what they have claimed is where it belongs, one pings the other's virtual address through its interface:

  first packet     from the first ping to the first answer
  overlay          the round trip along the ring, with both ends pinned to it, at the end of the run
  direct           from the moment when the two first had a link, or from the first ping if there was
                   none before, to the moment when both called their path direct for good
  lost, doubled    of the pings that went on every 50 ms meanwhile

On a ring of three nodes all are neighbours: the two have a link, and often a direct path, before the
first ping. `--crowd N` adds N seeds beside the first one; members between whom there was no link before
the first ping are counted as strangers.

Times of paths are those of the daemons' logs; the path itself is what `peers` says on both sides when
both are direct, or after 10 s (30 s for a symmetric NAT against one that filters by address and port).

Kind              the member is
none              a public host, with IPv4 and IPv6
eim, port-restricted, symmetric, double, udp-blocked
                  behind such a NAT (see netlab.py), with IPv4 only
same-nat          behind a port-restricted NAT together with another member, which was there first and uses the
                  same port; against itself, the two behind one NAT
ipv6-only         without IPv4; its router lets in only IPv6 that was asked for
dual-stack        behind a port-restricted NAT, and with such IPv6 beside it

Exit code 1: a demand was missed. Every pair has to be reached. Every pair has to be direct but those
that cannot: symmetric against symmetric or double, ipv6-only against what has only IPv4, and
udp-blocked, which has to be `tcp` against a public host. `hard` pairs have to be in 95 % of the runs."""
import argparse
import collections
import datetime
import itertools
import json
import multiprocessing
import os
import platform
import re
import signal
import statistics
import sys
import time

from daemon import BINARY, PORT, p2pvpn
from fleet import Fleet
from netlab import exit_on_signals, obstacle
from traffic import Flow, first_reply, percentile, round_trips
from waiting import until

SITES = {"none": None, "eim": "eim", "port-restricted": "port-restricted", "symmetric": "symmetric",
         "double": "double", "udp-blocked": "udp-blocked", "ipv6-only": "ipv6-only",
         "dual-stack": "port-restricted+ipv6", "same-nat": "port-restricted:2"}
KINDS = tuple(SITES)
PAIRS = list(itertools.combinations_with_replacement(KINDS, 2))
DIRECT = ("lan", "direct", "tcp")
READY_LIMIT, FIRST_LIMIT = 20, 10           # seconds
CHANGED = re.compile(r"^(\S+Z) info +path changed .*path=(\w+) peer=(\w+)$", re.M)
LINKED = re.compile(r"^(\S+Z) info +link up .*peer=(\w+)$", re.M)


# ---- what is demanded ---------------------------------------------------------------

def other(pair, kind):
    """What stands against `kind` in a pair that has it."""
    return pair[1] if pair[0] == kind else pair[0]


def wanted(pair):
    """The paths of which one is demanded; none if the pair cannot be direct."""
    if "udp-blocked" in pair:
        return ("tcp",) if other(pair, "udp-blocked") == "none" else ()
    if "ipv6-only" in pair:
        return DIRECT if other(pair, "ipv6-only") in ("none", "ipv6-only", "dual-stack") else ()
    if "symmetric" in pair:
        return () if other(pair, "symmetric") in ("symmetric", "double") else DIRECT
    return DIRECT


def is_hard(pair):
    """A mapping that cannot be foreseen, against a filter that wants to know it."""
    return "symmetric" in pair and other(pair, "symmetric") in ("port-restricted", "dual-stack", "same-nat")


def limit(pair):
    """How many seconds a pair has to become direct."""
    return 30 if is_hard(pair) else 10


def of_class(pair):
    if not wanted(pair):
        return "not direct"
    return "hard-easy" if "symmetric" in pair or "udp-blocked" in pair else "easy-easy"


def misses(pair, runs):
    """What a pair's runs fall short of, in words."""
    unreached = sum(run["first_ms"] is None for run in runs)
    if unreached:
        yield f"{name(pair)}: not reached in {unreached} of {len(runs)} runs"
    kinds, share = wanted(pair), 0.95 if is_hard(pair) else 1
    good = sum(all(path in kinds for path in run["paths"]) for run in runs)
    if kinds and good < share * len(runs):
        yield f"{name(pair)}: {' or '.join(kinds)} in {good} of {len(runs)} runs"


def name(pair):
    return " x ".join(pair)


# ---- one run ------------------------------------------------------------------------

def build(fleet, pair, delay=0):
    """The laboratory of a pair; returns the hosts of the two members, and of those who are there before them."""
    if pair[0] == "same-nat":
        fleet.lab.nat(public=1, sites=[SITES["same-nat"]], delay=delay)
        return ("s1h1", "s1h2"), ()
    sites = [SITES[kind] for kind in pair if kind != "none"]
    fleet.lab.nat(public=1 + pair.count("none"), sites=sites, delay=delay)
    public, site = itertools.count(2), itertools.count(1)
    hosts = [f"p{next(public)}" if kind == "none" else f"s{next(site)}h1" for kind in pair]
    return hosts, [host[:-1] + "2" for host, kind in zip(hosts, pair) if kind == "same-nat"]


def measure(fleet, pair, delay=0, crowd=0, options=()):
    """Everything about one pair, once. What did not happen is None; `trouble` says why."""
    run = {"first_ms": None, "overlay_ms": None, "direct_ms": None, "paths": [None, None], "via": None,
           "reason": None, "sent": 0, "lost": 0, "doubled": 0, "stranger": False, "trouble": None}
    hosts, bystanders = build(fleet, pair, delay)
    seed = fleet.seed("p1", "--relay", "1gbit")
    for port in range(PORT + 1, PORT + 1 + crowd):
        fleet.seed("p1", "--relay", "1gbit", "--listen", f":{port}", "--bootstrap", seed.host.ip)
    try:
        for host in bystanders:
            fleet.join(host, seed, options=options).wait_ready(READY_LIMIT)
        members = [fleet.join(host, seed, options=options) for host in hosts]
        a, b = (member.wait_ready(READY_LIMIT) for member in members)
        time.sleep(1)
        run["stranger"] = b.id() not in [peer["id"] for peer in a.linked()]
        run["at"] = time.time()
        run["first_ms"] = first_packet(a, b)
        follow(a, b, run, limit(pair))
        if run["first_ms"] is not None:
            run["overlay_ms"] = overlay_round_trip(a, b)
    except AssertionError as problem:
        run["trouble"] = str(problem).splitlines()[0]
    return run


def first_packet(a, b):
    """Milliseconds until the first ping from a to b is answered, or None."""
    address, start = b.address(), time.monotonic()
    answered = first_reply(a.host, address, FIRST_LIMIT, every=0.1)
    return answered and 1000 * (answered - start)


def follow(a, b, run, seconds):
    """Ping on until both ends are direct or the time is over; note how it went."""
    ids = a.id(), b.id()
    end = time.monotonic() + seconds
    seen = []
    with Flow(a.host, b.address(), 0.05) as flow:
        while time.monotonic() < end and not settled(seen):
            seen.append([a.peer(ids[1]), b.peer(ids[0])])
            time.sleep(0.2)
    last = seen[-1]
    run["paths"] = [peer.get("path") for peer in last]
    run["via"], run["reason"] = last[0].get("via"), last[0].get("reason")
    run["sent"], run["lost"], run["doubled"] = flow.sent, len(flow.lost), len(flow.doubled)
    if settled(seen):
        since = [direct_since(a, ids[1]), direct_since(b, ids[0])]
        linked = [at for at in (linked_at(a, ids[1]), linked_at(b, ids[0])) if at]
        if all(since) and linked:
            run["direct_ms"] = 1000 * (max(since) - min(run["at"], *linked))


def settled(seen):
    """Both were direct in the last two looks."""
    return len(seen) > 1 and all(peer.get("path") in DIRECT for look in seen[-2:] for peer in look)


def moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def linked_at(daemon, peer):
    """Unix time of the first link with a peer, by the log."""
    return next((moment(at) for at, short in LINKED.findall(daemon.log_text()) if peer.startswith(short)), None)


def direct_since(daemon, peer):
    """Unix time since when the path to a peer has been direct, by the log; None if it is not."""
    since = None
    for at, path, short in CHANGED.findall(daemon.log_text()):
        if peer.startswith(short):
            since = (since or moment(at)) if path in DIRECT else None
    return since


def overlay_round_trip(a, b):
    """Median of some pings along the ring, in ms; None if a path could not be pinned to it."""
    for here, there in ((a, b), (b, a)):
        if here.control("path", there.address(), "overlay").returncode:
            return None
    until("both paths to be overlay", lambda: (a.path_to(b), b.path_to(a)) == ("overlay", "overlay"), 5)
    times = round_trips(a.host, b.address(), 10, 0.02)
    return statistics.median(times) if times else None


def attempt(task):
    """One run in a process of its own."""
    pair, number, delay, crowd = task
    with Fleet() as fleet:
        try:
            run = measure(fleet, pair, delay, crowd)
        except (AssertionError, RuntimeError, OSError) as problem:
            run = {"first_ms": None, "overlay_ms": None, "direct_ms": None, "paths": [None, None],
                   "stranger": False, "trouble": f"{type(problem).__name__}: {str(problem).splitlines()[0]}"}
        run |= {"pair": pair, "run": number}
        if any(misses(pair, [run])):
            run["logs"] = fleet.tails()
    return run


# ---- the tables -----------------------------------------------------------------------

def cell(runs):
    """Path, share of runs that were direct if only some were, and median time to direct."""
    words = collections.Counter(run["paths"][0] or "none" for run in runs if run["first_ms"] is not None)
    if not words:
        return "**not reached**"
    direct = sum(all(path in DIRECT for path in run["paths"]) for run in runs)
    times = [run["direct_ms"] for run in runs if run["direct_ms"] is not None]
    text = words.most_common(1)[0][0]
    if 0 < direct < len(runs):
        text += f" {100 * direct / len(runs):.0f} %"
    return f"{text} {statistics.median(times):.0f} ms" if times else text


def grid(by_pair):
    """One row and one column for each kind; a pair stands where its later kind is the row."""
    shown = [kind for kind in KINDS if any(kind in pair for pair in by_pair)]
    lines = ["| | " + " | ".join(shown) + " |", "| --- " * (len(shown) + 1) + "|"]
    for row in shown:
        cells = [cell(by_pair[column, row]) if (column, row) in by_pair else "" for column in shown]
        lines.append(f"| {row} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def by_class(by_pair):
    """Percentiles of the times, for each class of pairs."""
    lines = ["| pairs | runs | direct | first packet p50 / p95 | in overlay round trips | time to direct p50 / p95 "
             "| pings lost |", "| --- " * 7 + "|"]
    for kind, stranger in itertools.product(("easy-easy", "hard-easy", "not direct"), (False, True)):
        runs = [run for pair, runs in by_pair.items() for run in runs
                if of_class(pair) == kind and run["stranger"] == stranger]
        if not runs:
            continue
        first = [run["first_ms"] for run in runs if run["first_ms"] is not None]
        turns = [run["first_ms"] / run["overlay_ms"] for run in runs if run["first_ms"] and run["overlay_ms"]]
        direct = [run["direct_ms"] for run in runs if run["direct_ms"] is not None]
        lost, sent = (sum(run.get(key, 0) for run in runs) for key in ("lost", "sent"))
        share = sum(all(path in DIRECT for path in run["paths"]) for run in runs) / len(runs)
        title = kind + (", strangers" if stranger else "")
        lines.append(f"| {title} | {len(runs)} | {100 * share:.0f} % | {both(first, 0)} ms | {both(turns, 2)} "
                     f"| {both(direct, 0)} ms | {lost} of {sent} |")
    return "\n".join(lines)


def reasons(by_pair):
    """What `peers` said about the pairs that were not direct in their last run."""
    lines = ["| not direct | path | reason |", "| --- | --- | --- |"]
    for pair, runs in by_pair.items():
        last = runs[-1]
        if not all(path in DIRECT for path in last["paths"]):
            why = last["trouble"] or last.get("reason") or ""
            lines.append(f"| {name(pair)} | {last['paths'][0] or 'none'} | {why} |")
    return "\n".join(lines) if len(lines) > 2 else "Every pair was direct in its last run."


def both(values, places):
    if not values:
        return "–"
    ordered = sorted(values)
    return " / ".join(f"{percentile(ordered, share):.{places}f}" for share in (.5, .95))


def progress(run):
    first = "not reached" if run["first_ms"] is None else f"first {run['first_ms']:.0f} ms"
    first += ", strangers" if run["stranger"] else ""
    direct = "" if run["direct_ms"] is None else f", direct after {run['direct_ms']:.0f} ms"
    why = run["trouble"] or run.get("reason")
    return (f"{name(run['pair'])} #{run['run']}: {first}, {' / '.join(map(str, run['paths']))}{direct}"
            + (f" ({why})" if why else ""))


# ---- the whole ------------------------------------------------------------------------

def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1, help="of each pair")
    parser.add_argument("--pairs", default="", metavar="REGEX", help="only pairs like 'eim x double'")
    parser.add_argument("--delay", type=float, default=5, metavar="MS", help="of each cable, one way")
    parser.add_argument("--crowd", type=int, default=0, metavar="N", help="more seeds, so that the ring is larger")
    parser.add_argument("--jobs", type=int, default=2, help="laboratories at the same time")
    parser.add_argument("--json", metavar="FILE", help="also write every run there, with logs of those that missed")
    return parser.parse_args()


def in_a_worker():
    """Ctrl-C is for the parent, which ends the workers by TERM."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    exit_on_signals()


def measure_all(pairs, args):
    """All runs, by pair. Each pair has its first run before any has its second."""
    by_pair = {pair: [] for pair in pairs}
    tasks = [(pair, number, args.delay, args.crowd) for number in range(1, args.runs + 1) for pair in pairs]
    with multiprocessing.Pool(args.jobs, in_a_worker) as pool:
        for done, run in enumerate(pool.imap_unordered(attempt, tasks), 1):
            print(f"[{done}/{len(tasks)}] {progress(run)}", file=sys.stderr, flush=True)
            by_pair[run["pair"]].append(run)
    return by_pair


def main():
    args = arguments()
    problem = obstacle() or (not os.path.exists("/dev/net/tun") and "there is no /dev/net/tun")
    if not os.access(BINARY, os.X_OK):
        problem = f"there is no program at {BINARY}; `make build` builds it"
    pairs = [pair for pair in PAIRS if re.search(args.pairs, name(pair))]
    if problem or not pairs:
        sys.exit(f"grid: {problem or 'no such pair'}")
    exit_on_signals()
    by_pair = measure_all(pairs, args)
    missed = [text for pair, runs in by_pair.items() for text in misses(pair, runs)]
    print(f"\n{grid(by_pair)}\n\n{by_class(by_pair)}\n\n{reasons(by_pair)}\n")
    print("\n".join(f"missed: {text}" for text in missed) or "All demands are met.")
    if args.json:
        document = {"version": p2pvpn("version").stdout.strip(), "date": time.strftime("%FT%TZ", time.gmtime()),
                    "machine": {"kernel": platform.release(), "cpus": os.cpu_count()}, "settings": vars(args),
                    "missed": missed, "runs": [run for runs in by_pair.values() for run in runs]}
        with open(args.json, "w") as file:
            json.dump(document, file, indent=1)
            file.write("\n")
    return 1 if missed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
