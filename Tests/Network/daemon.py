"""One real p2pvpn daemon on a host of a netlab, and the commands that talk to it.

What a user types is what is typed here: the same binary, started by `p2pvpn join` or
`p2pvpn seed`, asked by `p2pvpn status`, `peers`, `ping` and so on."""
import json
import os
import pathlib
import signal
import subprocess
import time

from waiting import TookTooLong, until

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("P2PVPN_BIN") or ROOT / ".build/release/p2pvpn").absolute()
PORT = 7741
NOT_PERMITTED, TIMED_OUT, NOT_FOUND, NOT_READY = 4, 5, 6, 7      # exit codes
NOT_RUNNING, USAGE, FAILED = 3, 2, 1


def p2pvpn(*args, timeout=10, **options):
    """Run one p2pvpn command to its end, without a network: should it start a daemon although
    that was not expected, nobody hears of it."""
    alone = ["unshare", "--net"] if os.geteuid() == 0 else []
    return subprocess.run([*alone, str(BINARY), *map(str, args)], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=timeout, **options)


class Daemon:
    """A daemon that can be started, asked, killed and started again with the same state.

    `wrapper` is a command put in front of the binary, for instance one that drops privileges;
    it must end by replacing itself with its arguments, so that signals reach the daemon."""

    def __init__(self, host, command, state, log, env=None, wrapper=(), binary=BINARY):
        self.host, self.state, self.log, self.binary = host, pathlib.Path(state), pathlib.Path(log), binary
        self.argv = [*wrapper, binary, *command, "--state", self.state]
        self.is_seed = command[0] == "seed"
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("P2PVPN_")} | (env or {})
        self.process = None
        self.started_at = None

    # ---- life ---------------------------------------------------------------

    def start(self):
        """Start it; does not wait until it is ready."""
        with open(self.log, "ab") as log:
            self.started_at = time.monotonic()
            self.process = self.host.popen(self.argv, stdout=log, stderr=log, env=self.env)
        return self

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def kill9(self):
        """End it as a power failure would: it gets no chance to say or write anything."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def terminate(self, limit=10):
        """Ask it to leave, as systemd does; returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait_exit(limit)

    def restart(self):
        """Start it again with the same state; it must have ended before."""
        assert not self.is_running(), f"{self.host.name} still runs"
        return self.start()

    def wait_exit(self, limit=10):
        """Wait until it ends by itself; returns its exit code."""
        try:
            return self.process.wait(limit)
        except subprocess.TimeoutExpired:
            raise TookTooLong(f"{self} still runs after {limit:g} s\n{self.tail()}") from None

    def wait_ready(self, limit=20):
        """Wait until `status` calls it ready (a seed: until it answers)."""
        def ready():
            if not self.is_running():
                raise AssertionError(f"{self} ended with exit code {self.process.returncode}\n{self.tail()}")
            return self.is_ready()
        until(f"{self} to be ready", ready, limit, detail=self.tail)
        return self

    def is_ready(self):
        answer = self.control("status", "--check", "live" if self.is_seed else "ready")
        return answer.returncode == 0 and (self.is_seed or bool(self.address()))

    # ---- questions ------------------------------------------------------------

    def control(self, command, *args, timeout=30):
        """A command that talks to this daemon: `p2pvpn COMMAND ARGS --state DIR`."""
        argv = self.host.argv([self.binary, command, *args, "--state", self.state])
        try:
            return subprocess.run(argv, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                                  env=self.env, timeout=timeout)
        except subprocess.TimeoutExpired:
            raise TookTooLong(f"`{' '.join(argv[4:])}` gave no answer in {timeout} s\n{self.tail()}") from None

    def json(self, command, *args):
        """The same with --json; returns what was printed, parsed."""
        answer = self.control(command, *args, "--json")
        if answer.returncode:
            raise AssertionError(f"`p2pvpn {command}` on {self.host.name}: exit {answer.returncode}: "
                                 f"{answer.stderr.strip()}\n{self.tail()}")
        document = json.loads(answer.stdout)
        assert document["schema"] == 1, document
        return document

    def status(self):
        return self.json("status")

    def peers(self):
        return self.json("peers")["peers"]

    def ping(self, peer, count=1):
        """`p2pvpn ping`: through the overlay's own machinery, not through the TUN device."""
        return self.control("ping", getattr(peer, "address", lambda: peer)(), "--count", count)

    def id(self):
        return self.status()["id"]

    def community(self):
        """Its first (here: only) community as `status` shows it, or an empty dictionary."""
        return next(iter(self.status()["communities"]), {})

    def address(self):
        return self.community().get("address")

    def address6(self):
        return self.community().get("address6")

    def pool(self):
        return self.community().get("pool")

    def interface(self):
        return self.community().get("interface")

    def peer(self, other):
        """What `peers` says about another daemon, or an empty dictionary.

        `other` may be an ID, so that a daemon which has ended can be asked for."""
        wanted = other if isinstance(other, str) else other.id()
        return next((p for p in self.peers() if p["id"] == wanted), {})

    def linked(self):
        """Its peers with a link; `peers` lists also members without one, those that have gone among them."""
        return [peer for peer in self.peers() if peer["last_seen_s"] is None]

    def has_neighbours(self, count):
        """Whether it is linked with so many neighbours on the community's ring, and agrees with them.

        By `status`: `peers` would ask all members, whose answers make links."""
        subring = self.community()["subring"]
        return subring["settled"] and subring["neighbours"] >= count

    def path_to(self, other):
        return self.peer(other).get("path")

    def wait_path(self, other, words, limit=20):
        """Wait until `peers` names one of these words for the way to `other`."""
        wanted = other.id()
        last = {}

        def there():
            last.update(self.peer(wanted))
            return last.get("path") in words and last["path"]
        return until(f"the path {self.host.name} -> {other.host.name} to be {' or '.join(words)}", there, limit,
                     detail=lambda: f"last: {last}\n{self.tail()}\n{other.tail()}")

    # ---- evidence ---------------------------------------------------------------

    def log_text(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def tail(self, lines=25):
        text = "\n".join(self.log_text().splitlines()[-lines:])
        return f"---- log of {self} ----\n{text or '(empty)'}"

    def __repr__(self):
        return f"{'seed' if self.is_seed else 'member'} on {self.host.name}"
