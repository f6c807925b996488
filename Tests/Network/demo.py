#!/usr/bin/env python3
"""`make demo`: a private network among five hosts, on this machine alone.

A seed and four members live in network namespaces, two of the members behind NATs. What is
typed here is what anybody would type; everything is gone afterwards, also after Ctrl-C."""
import contextlib
import hashlib
import os
import shutil
import signal
import sys
import textwrap
import time

from daemon import BINARY
from fleet import Fleet
from netlab import exit_on_signals, obstacle
from traffic import REPLY, Flow

WIDTH = min(100, shutil.get_terminal_size().columns)
TTY = sys.stdout.isatty()
COLOUR = TTY and "NO_COLOR" not in os.environ
UTF8 = (sys.stdout.encoding or "").lower().startswith("utf")
TICK, CROSS, RULE, ARROW = "✓✗─→" if UTF8 else "+x->"
SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏" if UTF8 else "|/-\\"
FILE_SIZE = 20_000_000

HOSTS = {       # host in the lab -> (what we call it, where it is)
    "p1": ("seed", "public"),
    "p2": ("anna", "public"),
    "p3": ("ben", "public"),
    "s1h1": ("carla", "behind a NAT"),
    "s2h1": ("dario", "behind another NAT"),
}


class Failed(Exception):
    """A step did not do what it is there to show."""


# ---- on the screen --------------------------------------------------------------

def paint(code, text):
    return f"\033[{code}m{text}\033[0m" if COLOUR else text


def bold(text):
    return paint("1", text)


def dim(text):
    return paint("2", text)


def heading(number, title, *story):
    line = f"{RULE * 2} {number}. {title} "
    print("\n" + paint("1;36", line + RULE * (WIDTH - len(line))))
    for text in story:
        print(textwrap.fill(text, WIDTH))
    print(flush=True)


def typed(host, *words, comment=""):
    """The command as somebody on that host would type it."""
    command = bold(" ".join(map(str, words)))
    print(f"  {paint('32', HOSTS[host][0] + '$')} {command}  {dim(comment)}".rstrip(), flush=True)


def done(text):
    print(f"  {paint('32', TICK)} {text}", flush=True)


@contextlib.contextmanager
def progress():
    """Hands out a function that shows what is being waited for.

    A terminal sees it move; elsewhere it is said once, when it takes longer than a second."""
    start, turn, said = time.monotonic(), 0, False

    def show(text):
        nonlocal turn, said
        seconds = time.monotonic() - start
        if TTY:
            turn += 1
            print(f"\r\033[K  {SPINNER[turn % len(SPINNER)]} {text}"[:WIDTH] + dim(f" {seconds:.1f} s"),
                  end="", flush=True)
        elif seconds > 1 and not said:
            said = True
            print(f"    {text} ...", flush=True)
    try:
        yield show
    finally:
        if TTY:
            print("\r\033[K", end="", flush=True)


def wait(text, probe, limit):
    """Wait with progress until `probe` returns something; returns that and the seconds it took."""
    start = time.monotonic()
    with progress() as show:
        while not (found := probe()):
            show(text() if callable(text) else text)
            if time.monotonic() - start > limit:
                raise Failed(f"after {limit} s still {text() if callable(text) else text}")
            time.sleep(0.1)
    return found, time.monotonic() - start


# ---- the steps ------------------------------------------------------------------

class Demo:
    """The network of the demo and the steps that show what it does, in order."""

    def __init__(self, fleet):
        self.fleet, self.lab = fleet, fleet.lab
        self.daemons = {}               # host -> Daemon
        self.addresses = {}             # host -> virtual address

    def members(self):
        return [host for host in HOSTS if host != "p1"]

    def name(self, host):
        return HOSTS[host][0]

    def build_the_internet(self):
        heading(1, "A small internet", "Five hosts in network namespaces, joined by a router. Two of them sit behind "
                "NATs (nftables masquerading) that let nobody in. Nothing of it touches this machine's own network.")
        self.lab.nat(public=3, sites=["port-restricted:1", "port-restricted:1"])
        for host, (name, place) in HOSTS.items():
            print(f"    {bold(f'{name:8}')}{self.lab[host].ip:16}{dim(place)}")

    def start_the_seed(self):
        heading(2, "A seed", "It helps others to find each other. It needs no privileges, and has no key of any "
                "network: what it forwards it cannot read.")
        typed("p1", "p2pvpn seed")
        seed = self.fleet.daemon("p1", "seed")
        self.daemons["p1"] = seed
        _, seconds = wait("the seed starts", lambda: self.alive(seed) and seed.is_ready(), 15)
        done(f"listens on {self.lab['p1'].ip}:7741 {dim(f'{seconds:.1f} s')}")

    def let_the_members_join(self):
        heading(3, "Four members", "They share a secret, made once with `p2pvpn keygen`. Each takes an address by "
                "itself: no server hands them out.")
        typed("p2", "p2pvpn keygen > home.key")
        secret, seed = self.fleet.secret_file, self.daemons["p1"]
        for host in self.members():
            typed(host, "p2pvpn join home --bootstrap", self.lab["p1"].ip, "--secret-file home.key")
            self.daemons[host] = self.fleet.join(host, seed, secret=secret)
        print()
        for host in self.members():
            self.wait_member(host)

    def wait_member(self, host):
        member = self.daemons[host]
        wait(f"{self.name(host)} joins", lambda: self.alive(member) and member.is_ready(), 20)
        seconds = time.monotonic() - member.started_at
        self.addresses[host] = member.address()
        done(f"{bold(f'{self.name(host):8}')}{ARROW} {bold(f'{member.address():16}')}"
             f"{dim(f'{member.address6():42}{seconds:.1f} s')}")

    def look_at_a_node(self):
        heading(4, "What a node knows", "carla is behind a NAT. This is what she sees.")
        for command in ("status", "peers"):
            typed("s1h1", "p2pvpn", command)
            self.say(self.daemons["s1h1"].control(command))
            print()

    def ping_each_other(self):
        heading(5, "From member to member", "The first packet goes along the ring at once; meanwhile the two open a "
                "direct way through their NATs, and the traffic moves there without losing a packet.")
        for here, there in (("p2", "p3"), ("p2", "s1h1"), ("s1h1", "s2h1")):
            self.ping(here, there)
        print("\n  p2pvpn's own ping names the path of each answer:")
        typed("s1h1", "p2pvpn ping", self.addresses["s2h1"], "--count 3")
        self.say(self.daemons["s1h1"].ping(self.daemons["s2h1"], count=3))

    def ping(self, here, there):
        member, target = self.daemons[here], self.addresses[there]
        typed(here, "ping", target, comment=f"# {self.name(there)}, {HOSTS[there][1]}")
        paths = []
        with Flow(self.lab[here], target, 0.1) as flow:
            flow.wait_reply(0, limit=10)
            peer_id = self.daemons[there].id()

            def settled():
                path = member.peer(peer_id).get("path")
                if path and path not in paths:
                    paths.append(path)
                return path in ("direct", "lan")
            wait(lambda: f"path: {', then '.join(paths) or 'not known yet'}", settled, 20)
            time.sleep(0.5)
        if flow.lost:
            raise Failed(f"{len(flow.lost)} of {flow.sent} pings to {target} were lost")
        times = [float(m["ms"]) for m in REPLY.finditer(flow.text)]
        done(f"{len(times)} of {flow.sent} answered, the first after {times[0]:.1f} ms, the last after "
             f"{times[-1]:.1f} ms; path: {bold(f' {ARROW} '.join(paths))}")

    def fetch_a_file(self):
        server, client = "s2h1", "s1h1"
        heading(6, "A file through the VPN", f"{self.name(server)} serves {FILE_SIZE // 10**6} MB over HTTP, "
                f"{self.name(client)} fetches them: both are behind NATs.")
        web = self.fleet.folder / "web"
        web.mkdir()
        (web / "file").write_bytes(os.urandom(FILE_SIZE))
        fetched = self.fleet.folder / "fetched"
        url = f"http://{self.addresses[server]}:8000/file"
        typed(server, "python3 -m http.server --bind", self.addresses[server])
        http = self.lab[server].popen([sys.executable, "-m", "http.server", "--bind", self.addresses[server],
                                       "--directory", web, "8000"])
        typed(client, "curl -O", url)
        start = time.monotonic()
        curl = self.lab[client].popen(["curl", "-sS", "--retry", "20", "--retry-connrefused", "--retry-delay", "1",
                                       "--retry-max-time", "15", "--max-time", "30", "-o", fetched, url])
        wait(lambda: f"{size(fetched) / 1e6:.0f} MB", lambda: curl.poll() is not None, 35)
        seconds = time.monotonic() - start
        http.terminate()
        if curl.returncode:
            raise Failed(f"curl ended with exit code {curl.returncode}")
        sums = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (web / "file", fetched)]
        if sums[0] != sums[1]:
            raise Failed(f"the checksums differ: {sums[0]} was sent, {sums[1]} arrived")
        done(f"{FILE_SIZE / 1e6:.0f} MB in {seconds:.1f} s, sha256 {sums[0][:16]}... on both sides")

    def do_without_the_seed(self):
        here, there = "s1h1", "s2h1"
        heading(7, "Without the seed", f"{self.name(here)} pings {self.name(there)} while the seed is killed.")
        with Flow(self.lab[here], self.addresses[there], 0.1) as flow:
            flow.wait_reply(0, limit=10)
            typed("p1", "kill -9", self.daemons["p1"].process.pid)
            self.daemons["p1"].kill9()
            killed = time.monotonic()
            wait(lambda: f"{len(flow.replies())} answers", lambda: time.monotonic() - killed > 3, 5)
        if flow.lost:
            raise Failed(f"{len(flow.lost)} of {flow.sent} pings were lost when the seed went away")
        done(f"{flow.sent} pings, {flow.sent - len(flow.lost)} answers: nobody missed it")
        self.ping_strangers("p3", "s2h1")

    def ping_strangers(self, here, there):
        """Two that have not talked before find each other without the seed, too."""
        with Flow(self.lab[here], self.addresses[there], 0.2) as flow:
            after = flow.wait_reply(time.time(), limit=10)
        done(f"{self.name(here)} reaches {self.name(there)} for the first time, after {after * 1000:.0f} ms")

    @staticmethod
    def say(answer):
        """Show what a command printed."""
        if answer.returncode:
            raise Failed(f"exit code {answer.returncode}: {answer.stderr.strip()}")
        print(textwrap.indent(answer.stdout.rstrip("\n"), "    "), flush=True)

    @staticmethod
    def alive(daemon):
        if not daemon.is_running():
            raise Failed(f"{daemon} ended with exit code {daemon.process.returncode}")
        return True

    def steps(self):
        return [self.build_the_internet, self.start_the_seed, self.let_the_members_join, self.look_at_a_node,
                self.ping_each_other, self.fetch_a_file, self.do_without_the_seed]


def size(path):
    return path.stat().st_size if path.exists() else 0


# ---- the whole ------------------------------------------------------------------

def run(fleet):
    """All steps; returns the exit code."""
    demo = Demo(fleet)
    for step in demo.steps():
        try:
            step()
        except (Failed, AssertionError, RuntimeError, OSError) as problem:
            what = step.__name__.replace("_", " ")
            print(f"\n  {paint('31', CROSS)} {bold(f'Failed to {what}:')} {str(problem).splitlines()[0]}\n")
            print(fleet.tails())
            return 1
    return 0


def main():
    problem = obstacle() or (not os.path.exists("/dev/net/tun") and "there is no /dev/net/tun")
    if not os.access(BINARY, os.X_OK):
        problem = f"there is no program at {BINARY}; `make build` builds it"
    if problem:
        sys.exit(f"The demo cannot run: {problem}.")
    exit_on_signals()
    start = time.monotonic()
    print(bold("p2pvpn") + ": virtual private networks with no server in the middle")
    try:
        with Fleet() as fleet:
            code = run(fleet)
    except KeyboardInterrupt:
        print("\n  interrupted; ", end="")
        code = 128 + signal.SIGINT
    print(f"\n{'' if code == 130 else '  '}everything is removed: no namespace, process or file is left.")
    if code == 0:
        print(f"  {paint('1;32', TICK)} {bold('The demo succeeded')} in {time.monotonic() - start:.0f} s.")
    return code


if __name__ == "__main__":
    sys.exit(main())
