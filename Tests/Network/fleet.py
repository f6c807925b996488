"""All daemons of one lab: the folder with their state and logs, and the secret they share."""
import contextlib
import itertools
import pathlib
import shutil
import tempfile

from daemon import BINARY, Daemon, p2pvpn
from netlab import Lab

COMMUNITY = "home"


def endpoint(bootstrap, host):
    """What a host is given as --bootstrap; the default port is understood."""
    there = getattr(bootstrap, "host", bootstrap)
    if isinstance(there, str):
        return there
    return there.ip if there.ip and host.ip else f"[{there.ip6}]"


class Fleet(contextlib.AbstractContextManager):
    """`with Fleet() as fleet:` build `fleet.lab`, then start daemons on its hosts.

    Everything ends and disappears with the block."""

    def __init__(self):
        self.lab = Lab()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="p2pvpn-"))
        self.folder.chmod(0o755)            # daemons without root have to find their state
        self.daemons = []
        self._serial = itertools.count(1)
        self._secret_file = None

    def __exit__(self, *_):
        self.lab.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def new_secret(self):
        """A file with a fresh secret, as `p2pvpn keygen` makes it."""
        made = p2pvpn("keygen")
        assert made.returncode == 0 and made.stdout.strip(), made
        file = self.folder / f"secret-{next(self._serial)}"
        file.touch(0o600)
        file.write_text(made.stdout)
        return file

    @property
    def secret_file(self):
        """The secret that members share unless a test says otherwise."""
        if not self._secret_file:
            self._secret_file = self.new_secret()
        return self._secret_file

    def daemon(self, host, *command, **options):
        """Start any daemon on a host, with a state folder of its own."""
        name = f"{host}-{next(self._serial)}"
        state = options.pop("state", self.folder / name)
        daemon = Daemon(self.lab[host], command, state, self.folder / f"{name}.log", **options)
        self.daemons.append(daemon)
        return daemon.start()

    def seed(self, host, *options, **more):
        """Start a seed and wait until it answers."""
        return self.daemon(host, "seed", *options, **more).wait_ready()

    def join(self, host, *bootstraps, options=(), community=COMMUNITY, secret=None, **more):
        """Start a member of the community; does not wait. Bootstraps are daemons, hosts or texts."""
        given = [x for b in bootstraps for x in ("--bootstrap", endpoint(b, self.lab[host]))]
        secret_file = secret or self.secret_file
        return self.daemon(host, "join", community, *given, "--secret-file", secret_file, *options, **more)

    def joined(self, host, *bootstraps, **more):
        """Start a member and wait until it is ready."""
        return self.join(host, *bootstraps, **more).wait_ready()

    def public_binary(self):
        """A copy of the program that every user of the machine can reach."""
        copy = self.folder / "p2pvpn"
        if not copy.exists():
            shutil.copy(BINARY, copy)
            copy.chmod(0o755)
        return copy

    def tails(self):
        """The ends of all logs, shorter when there are many."""
        lines = max(5, 80 // max(1, len(self.daemons)))
        return "\n".join(d.tail(lines) for d in self.daemons)
