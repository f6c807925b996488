"""Machines and networks that do not give a node what it asks for: one clear line, the right exit code."""
import re
import socket

import pytest

from daemon import FAILED, NOT_FOUND, NOT_PERMITTED, NOT_READY, PORT, p2pvpn
from test_command_line import CRASH
from traffic import ping
from waiting import until

NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]
WITHOUT_CAPABILITIES = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--"]


def refused(daemon, code, *words):
    """It ended with this code, after saying why in a line that has these words."""
    ended = daemon.wait_exit(10)
    said = daemon.log_text()
    assert ended == code, f"exit {ended}: {said}"
    assert not any(crash in said for crash in CRASH), said
    explained = [line for line in said.splitlines() if all(word in line for word in words)]
    assert explained, f"no line with {words} in:\n{said}"


def hold_port(host, port):
    """Another program that has the port, on both families."""
    holder = host.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    holder.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    holder.bind(("::", port))
    return holder


def test_no_tun_device_on_the_machine(fleet):
    fleet.lab.pair()
    hide = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /dev/net && exec "$@"', "sh"]
    refused(fleet.join("a", fleet.lab["b"], wrapper=hide), FAILED, "/dev/net/tun")


@pytest.mark.parametrize("wrapper", [NOBODY, WITHOUT_CAPABILITIES], ids=["nobody", "root-without-capabilities"])
def test_joining_is_not_permitted(fleet, wrapper):
    fleet.lab.pair()
    state = nobodys_folder(fleet)
    secret = fleet.secret_file
    secret.chmod(0o644)
    daemon = fleet.join("a", fleet.lab["b"], state=state, wrapper=wrapper, binary=fleet.public_binary())
    refused(daemon, NOT_PERMITTED)
    assert re.search(r"root|CAP_NET_ADMIN|privilege|permi", daemon.log_text(), re.I)


def nobodys_folder(fleet):
    folder = fleet.folder / "nobody"
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    return folder / "state"


def test_a_seed_needs_no_privileges(fleet):
    fleet.lab.lan(3)
    seed = fleet.seed("h1", state=nobodys_folder(fleet), wrapper=NOBODY, binary=fleet.public_binary())
    with open(f"/proc/{seed.process.pid}/status") as status:
        assert re.search(r"^Uid:\s+65534", status.read(), re.M)
    a, b = fleet.joined("h2", seed), fleet.joined("h3", seed)
    assert ping(a.host, b.address()) == 3


@pytest.mark.parametrize("command", [["seed"], ["join", "home"]], ids=["seed", "join"])
def test_a_port_that_was_asked_for_is_taken(fleet, command):
    fleet.lab.pair()
    with hold_port(fleet.lab["a"], 7000):
        options = ["--bootstrap", fleet.lab["b"].ip, "--listen", ":7000"]
        refused(fleet.daemon("a", *command, *options), FAILED, "7000", "in use")


def test_the_usual_port_is_taken(fleet):
    """A member takes a free one and says so: a seed and a member may live on one machine."""
    fleet.lab.pair()
    seed = fleet.seed("a")
    a, b = fleet.joined("a", seed), fleet.joined("b", seed)
    assert any(str(PORT) in line and "use" in line for line in a.log_text().splitlines()), a.tail()
    assert ping(a.host, b.address()) == 3


def test_an_address_that_another_has(fleet):
    fleet.lab.lan(3)
    seed = fleet.seed("h1")
    a = fleet.joined("h2", seed)
    wanted = f"{a.address()}/{a.pool().split('/')[1]}"
    daemon = fleet.join("h3", seed, options=["--address", wanted])
    until("the refusal", lambda: not daemon.is_running(), 20, detail=daemon.tail)
    refused(daemon, FAILED, a.address())
    assert ping(fleet.joined("h3", seed).host, a.address()) == 3


def test_an_address_that_was_asked_for_is_given(fleet):
    fleet.lab.lan(3)
    seed = fleet.seed("h1")
    a = fleet.joined("h2", seed, options=["--address", "10.77.0.9/24"])
    b = fleet.joined("h3", seed)
    assert (a.address(), a.pool(), b.pool()) == ("10.77.0.9", "10.77.0.0/24", "10.77.0.0/24")
    assert ping(b.host, a.address()) == 3


def test_a_pool_that_differs_from_the_others(fleet):
    fleet.lab.lan(3)
    seed = fleet.seed("h1")
    a = fleet.joined("h2", seed)
    daemon = fleet.join("h3", seed, options=["--pool", "10.77.0.0/24"])
    until("the refusal", lambda: not daemon.is_running(), 20, detail=daemon.tail)
    refused(daemon, FAILED, a.pool())


def test_a_state_folder_that_is_in_use(fleet):
    fleet.lab.pair()
    first = fleet.seed("a")
    second = fleet.daemon("b", "seed", state=first.state)
    refused(second, FAILED, str(first.state), "in use")
    assert first.is_ready()


def test_a_state_folder_that_cannot_be_written(fleet):
    fleet.lab.pair()
    file = fleet.folder / "file"
    file.touch()
    refused(fleet.daemon("a", "seed", state=file / "state"), FAILED, str(file))


def test_peers_that_nobody_has_heard_of(fleet):
    fleet.lab.pair()
    a = fleet.join("a", fleet.lab["b"])
    b = fleet.join("b", fleet.lab["a"])
    a.wait_ready(), b.wait_ready()
    network = a.pool().rsplit(".", 2)[0]
    free = next(x for x in (f"{network}.7.7", f"{network}.7.8", f"{network}.7.9")
                if x not in (a.address(), b.address()))
    for command in ("lookup", "ping"):
        answer = a.control(command, free)
        assert answer.returncode == NOT_FOUND and free in answer.stderr, answer


def test_a_node_whose_bootstraps_are_down_lives_but_is_not_ready(fleet):
    fleet.lab.pair()
    a = fleet.join("a", fleet.lab["b"])
    until("its API", lambda: a.control("status").returncode == 0, 10, detail=a.tail)
    assert a.control("status", "--check", "live").returncode == 0
    assert a.control("status", "--check", "ready").returncode == NOT_READY
    assert a.is_running()


def test_a_bootstrap_whose_name_does_not_resolve(fleet):
    """It is a warning with the name in it, and one working bootstrap is enough."""
    fleet.lab.lan(3)
    seed = fleet.seed("h1")
    a = fleet.joined("h2", "no-such-name.invalid", seed)
    assert "no-such-name.invalid" in a.log_text()
