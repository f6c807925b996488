#!/usr/bin/env python3
"""`make bench-everybody`: what broadcasts cost, beside n2n and tinc, between ten network namespaces on a bridge.

    bench_everybody.py                         # one round
    bench_everybody.py --rounds 3 --json FILE

Each host in turn sends broadcasts of one size at a rate that nobody drops; the other nine listen. What is
compared is how many packets they were given for each second of processor time (user and system) of all VPN
processes together, a supernode included, and which share of the packets came, and how often twice. What the
same processes use without any traffic, when they have settled, stands beside it; it is not subtracted.

  p2pvpn   ten members, the first of them the others' bootstrap, no seed
  n2n      ten edges and a supernode on a host of its own, through which all broadcasts go (Debian's 1.3)
  tinc     ten daemons in switch mode, nine of them connected to the first; broadcasts go along that tree

n2n and tinc are Debian packages; what is not installed is left out, which is said. In each round every one
is started anew, and its figures are medians over rounds."""
import argparse
import collections
import ipaddress
import os
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import time

from daemon import BINARY, p2pvpn
from fleet import Fleet
from machine import BUSY, cpu_seconds, keep, wait_quiet
from netlab import exit_on_signals, obstacle, sh
from traffic import paced
from waiting import until

PORT, HEADERS, SO_RCVBUFFORCE, ROOM = 9099, 28, 33, 4 << 20
NETWORK = ipaddress.ip_network("10.77.0.0/24")
START_LIMIT = 60


# ---- the candidates ---------------------------------------------------------------

class Candidate:
    """A VPN on the hosts h1…hn of a lab; h0 is for what serves them all."""

    programs, packages = (), ""

    def __init__(self, fleet, count):
        self.fleet, self.hosts, self.processes = fleet, [fleet.lab[f"h{i}"] for i in range(1, 1 + count)], []
        self.addresses = [str(NETWORK[i]) for i in range(1, 1 + count)]
        self.broadcast = str(NETWORK.broadcast_address)
        self.devices = count * ["vpn0"]

    @classmethod
    def missing(cls):
        return [program for program in cls.programs if not shutil.which(program)]

    def run(self, host, *argv):
        """Starts a daemon of the candidate."""
        with open(self.fleet.folder / f"{self.name}-{len(self.processes)}.log", "wb") as log:
            self.processes.append(host.popen(argv, stdout=log, stderr=log))

    def start(self):
        raise NotImplementedError

    def processor_time(self):
        return sum(cpu_seconds(process.pid) for process in self.processes)


class Ours(Candidate):
    name = "p2pvpn"

    def start(self):
        fleet = self.fleet
        first = fleet.joined("h1")
        members = [first, *(fleet.join(host.name, first) for host in self.hosts[1:])]
        for member in members:
            member.wait_ready()
        self.processes = [member.process for member in members]
        self.addresses = [member.address() for member in members]
        self.devices = [member.interface() for member in members]
        self.broadcast = str(ipaddress.ip_network(first.pool()).broadcast_address)

    @staticmethod
    def version():
        return p2pvpn("version").stdout.strip()


class N2n(Candidate):
    name, programs, packages = "n2n", ("edge", "supernode"), "n2n"

    def start(self):
        there = self.fleet.lab["h0"]
        self.run(there, "supernode", "-l", "7654")
        for host, address, device in zip(self.hosts, self.addresses, self.devices):
            self.run(host, "edge", "-d", device, "-a", address, "-s", str(NETWORK.netmask), "-c", "home",
                     "-k", "everybody", "-l", f"{there.ip}:7654")

    @staticmethod
    def version():
        return next(word for word in sh(["edge", "-h"], check=False).split() if word.startswith("v."))


class Tinc(Candidate):
    name, programs, packages = "tinc", ("tincd",), "tinc"

    def start(self):
        folders = [self.fleet.folder / "tinc" / host.name for host in self.hosts]
        for host, folder, address, device in zip(self.hosts, folders, self.addresses, self.devices):
            (folder / "hosts").mkdir(parents=True)
            (folder / "tinc.conf").write_text(
                f"Name={host.name}\nMode=switch\nDeviceType=tap\nInterface={device}\nAddressFamily=ipv4\n"
                + ("" if host is self.hosts[0] else f"ConnectTo={self.hosts[0].name}\n"))
            up = folder / "tinc-up"
            up.write_text(f"#!/bin/sh\nip addr add {address}/{NETWORK.prefixlen} broadcast + dev $INTERFACE\n"
                          "ip link set $INTERFACE up\n")
            up.chmod(0o755)
            (folder / "hosts" / host.name).write_text(f"Address={host.ip}\n")
            sh(["tincd", "-c", folder, "-K2048"])
        for folder in folders[1:]:
            shutil.copy(folder / "hosts" / folder.name, folders[0] / "hosts")
            shutil.copy(folders[0] / "hosts" / folders[0].name, folder / "hosts")
        for host, folder in zip(self.hosts, folders):
            self.run(host, "tincd", "-D", "-c", folder, f"--pidfile={folder}/pid")

    @staticmethod
    def version():
        return sh(["tincd", "--version"]).split()[2]


CANDIDATES = (Ours, N2n, Tinc)


# ---- one round --------------------------------------------------------------------

class Crowd:
    """A socket on each host's device, and how often each packet came to each of them."""

    def __init__(self, candidate):
        self.broadcast, self.sockets = candidate.broadcast, []
        for host, device, address in zip(candidate.hosts, candidate.devices, candidate.addresses):
            until(f"{device} on {host.name}", lambda: address in host.run(
                ["ip", "-4", "addr", "show", "dev", device], check=False), START_LIMIT)
            s = host.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
            s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, ROOM)
            s.bind(("", PORT))
            s.setblocking(False)
            self.sockets.append(s)
        self.came = [collections.Counter() for _ in self.sockets]

    def say(self, k, number, size):
        self.sockets[k].sendto(struct.pack("!II", k, number).ljust(size - HEADERS, b"."), (self.broadcast, PORT))

    def listen(self):
        """Takes what has come; returns how many different packets did so far, at all ears together."""
        for k, s in enumerate(self.sockets):
            while True:
                try:
                    sender, number = struct.unpack_from("!II", s.recv(2048))
                except BlockingIOError:
                    break
                if sender != k:                     # some devices echo
                    self.came[k][sender, number] += 1
        return sum(len(came) for came in self.came)

    def forget(self):
        self.listen()
        for came in self.came:
            came.clear()

    def close(self):
        for s in self.sockets:
            s.close()

    def warm_up(self):
        """Waits until everybody has heard everybody."""
        everybody = len(self.sockets) * (len(self.sockets) - 1)

        def all_heard():
            for k in range(len(self.sockets)):
                self.say(k, 0, 100)
            return self.listen() == everybody
        until("everybody to hear everybody", all_heard, START_LIMIT, every=0.5,
              detail=lambda: f"heard by each: {[sorted(k for k, _ in came) for came in self.came]}")


def measure(kind, args):
    """One candidate, started anew."""
    figures = {"load_before": wait_quiet(), "sizes": {}}
    with Fleet() as fleet:
        fleet.lab.lan(args.hosts)
        serving = fleet.lab.host("h0")
        fleet.lab.veth(serving, "eth0", fleet.lab["switch"], "serving")
        fleet.lab["switch"].ip_command("link", "set", "serving", "master", "br0")
        serving.ip = "198.51.100.250"
        serving.address(f"{serving.ip}/24")
        candidate = kind(fleet, args.hosts)
        candidate.start()
        crowd = Crowd(candidate)
        crowd.warm_up()
        time.sleep(args.settle)
        before = candidate.processor_time()
        time.sleep(args.idle)
        figures["idle_cpu_ms_per_s"] = 1e3 * (candidate.processor_time() - before) / args.idle
        for size in args.size:
            figures["sizes"][str(size)] = rounds_of_all(candidate, crowd, size, args)
        crowd.close()
    return figures


def rounds_of_all(candidate, crowd, size, args):
    """All hosts send in turn."""
    crowd.forget()
    count = args.rate * args.seconds
    expected, start, before = 0, time.monotonic(), candidate.processor_time()
    for k in range(args.hosts):
        for n in paced(args.rate, count):
            crowd.say(k, n, size)
            crowd.listen()
        expected += count * (args.hosts - 1)
        last = time.monotonic()
        while (heard := crowd.listen()) < expected and time.monotonic() < last + 2:
            time.sleep(0.01)
    used, seconds = candidate.processor_time() - before, time.monotonic() - start
    copies = sum(sum(came.values()) for came in crowd.came)
    return {"delivered": heard, "expected": expected, "share": heard / expected, "duplicates": copies - heard,
            "cpu_s": used, "seconds": seconds, "per_cpu_s": heard / used}


# ---- the table ----------------------------------------------------------------------

def summarize(rounds):
    """Medians over rounds; duplicates are added up."""
    summary = {}
    for name in rounds[0]:
        runs = [r[name] for r in rounds]
        sizes = {size: {
            "share": statistics.median(run["sizes"][size]["share"] for run in runs),
            "per_cpu_s": statistics.median(run["sizes"][size]["per_cpu_s"] for run in runs),
            "cpu_us": statistics.median(1e6 / run["sizes"][size]["per_cpu_s"] for run in runs),
            "duplicates": sum(run["sizes"][size]["duplicates"] for run in runs),
        } for size in runs[0]["sizes"]}
        idle = statistics.median(run["idle_cpu_ms_per_s"] for run in runs)
        summary[name] = {"idle_cpu_ms_per_s": idle, "sizes": sizes}
    return summary


def table(summary):
    names = list(summary)
    row = ("  {:<46}" + "{:>12}" * len(names)).format
    lines = ["", row("", *names)]
    for size in summary[names[0]]["sizes"]:
        of = [summary[name]["sizes"][size] for name in names]
        lines += [row(f"broadcasts of {size} bytes", *[""] * len(names)),
                  row("  delivered for each second of processor time", *[f"{s['per_cpu_s']:,.0f}" for s in of]),
                  row("  processor time of one delivered, microseconds", *[f"{s['cpu_us']:.1f}" for s in of]),
                  row("  delivered, %", *[f"{100 * s['share']:.2f}" for s in of]),
                  row("  delivered twice", *[s["duplicates"] for s in of])]
    idle = [f"{summary[name]['idle_cpu_ms_per_s']:.2f}" for name in names]
    return "\n".join([*lines, row("without traffic, all processes, ms a second", *idle)]) + "\n"


def candidates():
    """Those that are installed; says which are not."""
    for kind in CANDIDATES:
        if missing := kind.missing():
            print(f"LEFT OUT: {kind.name}, because {' and '.join(missing)} cannot be found "
                  f"(Debian package {kind.packages})", file=sys.stderr, flush=True)
        else:
            yield kind


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--hosts", type=int, default=10)
    parser.add_argument("--rate", type=int, default=50, help="packets a second; a member of ours may send 100")
    parser.add_argument("--seconds", type=int, default=3, help="for which each host sends")
    parser.add_argument("--size", type=int, action="append", help="bytes of an IP packet; default 100 and 1000")
    parser.add_argument("--settle", type=float, default=20, help="seconds after the start that do not count")
    parser.add_argument("--idle", type=float, default=5, help="seconds without traffic")
    parser.add_argument("--only", action="append", help="name of a candidate; default all")
    parser.add_argument("--json", metavar="FILE", help="also write every sample there")
    args = parser.parse_args()
    args.size = args.size or [100, 1000]
    problem = obstacle()
    if problem:
        sys.exit(f"bench_everybody: {problem}")
    if not os.access(BINARY, os.X_OK):
        sys.exit(f"bench_everybody: there is no program at {BINARY}; `make build` builds it")
    exit_on_signals()

    kinds = [kind for kind in candidates() if not args.only or kind.name in args.only]
    rounds = []
    for n in range(args.rounds):
        figures = {}
        for kind in kinds:
            print(f"[{n + 1}/{args.rounds}] {kind.name}", file=sys.stderr, flush=True)
            figures[kind.name] = measure(kind, args)
            if figures[kind.name]["load_before"] > BUSY:
                print(f"NOTE: others kept {figures[kind.name]['load_before']:.0%} of the machine busy before it",
                      file=sys.stderr, flush=True)
        rounds.append(figures)
    summary = summarize(rounds)
    print(table(summary))
    if args.json:
        keep(args, summary, rounds, versions={kind.name: kind.version() for kind in kinds})
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except (AssertionError, RuntimeError, subprocess.SubprocessError) as problem:
        sys.exit(f"bench_everybody: {problem}")
