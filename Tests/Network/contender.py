"""A VPN between the hosts a and b that `make bench` can start: what all of them have in common, the bare cable,
and p2pvpn itself. `peers.py` has the others.

On the command line a VPN is written NAME:key=value,key=value. Every one knows `name=` (what it is called in the
table), `bin=` (another program) and `env=NAME=VALUE` (may be repeated); more are in its description."""
import os
import pathlib
import shutil
import time

from daemon import BINARY, Daemon
from fleet import COMMUNITY
from netlab import sh
from traffic import first_reply

KNOWN = {}          # name -> class, in the order of the table


def known(cls):
    """Makes a contender available by its name."""
    KNOWN[cls.name] = cls
    return cls


class Contender:
    """One VPN. A new one needs `name`, `programs`, `package`, and `start(i)`, which starts the daemon of host i
    (0 is a, 1 is b) by `self.run`; `setup` writes keys and configurations before that."""

    name, programs, package = "", (), ""
    addresses = ("10.77.0.1", "10.77.0.2")      # of a and b, inside the tunnel
    settle = 0.5                                # seconds from the first ping until it is at its best
    devices = ("vpn0", "vpn0")                  # each in its own namespace

    def __init__(self, options=None, env=None):
        self.options, self.more_env = options or {}, env or {}
        self.label = self.options.get("name", self.name)
        self.program = self.options.get("bin", self.programs[0] if self.programs else None)

    def missing(self):
        """The programs that it needs and this machine lacks."""
        return [p for p in (self.program, *self.programs[1:]) if p and not shutil.which(p)]

    def version(self):
        return ""

    def begin(self, fleet):
        """Takes the hosts and the folder of a fleet for one measurement."""
        self.fleet, self.hosts, self.folder = fleet, [fleet.lab["a"], fleet.lab["b"]], pathlib.Path(fleet.folder)
        self.outside = [host.ip for host in self.hosts]
        self.processes = ([], [])       # of host a, of host b

    def connect(self, limit):
        """Starts both ends and waits until a packet gets through."""
        self.setup()
        for step in (self.start, self.ready):
            for i in (0, 1):
                step(i)
        if not first_reply(self.hosts[1], self.addresses[0], limit):
            raise RuntimeError(f"no ping got through within {limit:g} s\n{self.logs()}")
        time.sleep(self.settle)

    def setup(self):
        pass

    def start(self, i):
        raise NotImplementedError

    def ready(self, i):
        """Waits, after both were started, until host i is configured."""

    # ---- what a contender is built with

    def run(self, i, *argv, **env):
        """Starts a daemon on host i."""
        with open(self.folder / f"log-{'ab'[i]}{len(self.processes[i])}", "wb") as log:
            self.processes[i].append(self.hosts[i].popen(argv, stdout=log, stderr=log,
                                                         env={**os.environ, **env, **self.more_env}))

    def write(self, name, text, mode=0o600):
        file = self.folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)
        return file

    def again(self, action, limit=10):
        """Does something until it succeeds."""
        end = time.monotonic() + limit
        while True:
            try:
                return action()
            except (RuntimeError, OSError):
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)

    def configure(self, i, mtu=None):
        """Waits for the interface of host i, gives it its address and raises it."""
        host = self.hosts[i]
        self.again(lambda: host.address(f"{self.addresses[i]}/24", self.devices[i]))
        host.ip_command("link", "set", self.devices[i], "up", *(["mtu", str(mtu)] if mtu else []))

    def script_up(self, i):
        """The lines of a script by which a daemon configures its interface."""
        return (f"#!/bin/sh\nip addr add {self.addresses[i]}/24 dev {self.devices[i]}\n"
                f"ip link set {self.devices[i]} up\n")

    def logs(self):
        return "\n".join(f"---- {log.name}\n{log.read_text(errors='replace')[-1500:]}"
                         for log in sorted(self.folder.glob("log-*")))


@known
class Bare(Contender):
    """The cable itself, without a VPN: what all others are compared with."""

    name, addresses, settle = "bare", ("198.51.100.1", "198.51.100.2"), 0

    def start(self, i):
        pass


@known
class Ours(Contender):
    """p2pvpn, two members, the first of them the other's bootstrap; join=OPTIONS (of that command)."""

    name, programs = "ours", (str(BINARY),)

    def version(self):
        return sh([self.program, "version"]).strip()

    def setup(self):
        self.members = []
        self.secret = self.write("secret", sh([self.program, "keygen"]))

    def start(self, i):
        options = [*self.options.get("join", "").split()]
        first = ["--bootstrap", self.outside[0]] if i else []
        command = ["join", COMMUNITY, *first, "--secret-file", self.secret, *options]
        member = Daemon(self.hosts[i], command, self.folder / f"state-{'ab'[i]}", self.folder / f"log-{'ab'[i]}",
                        env=self.more_env, binary=self.program)
        self.members.append(member.start())
        self.fleet.daemons.append(member)
        self.processes[i].append(member.process)

    def ready(self, i):
        self.members[i].wait_ready()
        if i:
            self.addresses = tuple(member.address() for member in self.members)
            if not first_reply(self.hosts[1], self.addresses[0], 20):
                raise RuntimeError(f"no ping got through within 20 s\n{self.logs()}")
            for one, other in (self.members, self.members[::-1]):
                one.wait_path(other, ("lan", "direct"))


def parse(text):
    """A contender from what was written for --vpn."""
    name, _, rest = text.partition(":")
    if name not in KNOWN:
        raise ValueError(f"unknown VPN {name!r}; known are {', '.join(KNOWN)}")
    options, env = {}, {}
    for item in filter(None, rest.split(",")):
        key, _, value = item.partition("=")
        if key == "env":
            variable, _, value = value.partition("=")
            env[variable] = value
        else:
            options[key] = value or "1"
    return KNOWN[name](options, env)
