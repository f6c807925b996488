"""Who belongs to a community, and that its secret shows up nowhere."""
import pathlib
import time

from traffic import ping
from waiting import until

ALONE = "nobody else with this name and secret"


def warned(daemon):
    return any(ALONE in warning for warning in daemon.status()["warnings"])


def test_with_the_wrong_secret_one_is_alone_and_told_so(fleet):
    fleet.lab.lan(4)
    seed = fleet.seed("h1")
    a, b = fleet.joined("h2", seed), fleet.joined("h3", seed)
    stranger = fleet.join("h4", seed, secret=fleet.new_secret())

    until(f"the warning {ALONE!r} in status", lambda: is_up(stranger) and warned(stranger),
          limit=stranger.started_at + 10 - time.monotonic(), detail=fleet.tails)
    assert ALONE in stranger.log_text()
    until("no such warning at the others", lambda: not warned(a) and not warned(b), 10, detail=fleet.tails)

    for member in (a, b):
        if member.address() != stranger.address():
            assert ping(stranger.host, member.address(), limit=1) == 0
            assert stranger.ping(member).returncode != 0
        assert ping(stranger.host, member.address6(), limit=1) == 0
        assert not stranger.peer(member).get("community")
        assert not member.peer(stranger).get("community")
    assert ping(a.host, b.address()) == 3


def is_up(daemon):
    return daemon.control("status").returncode == 0


def test_the_secret_is_in_no_argument_log_or_answer(fleet):
    fleet.lab.lan(3)
    secret = fleet.secret_file.read_text().strip()
    seed = fleet.seed("h1")
    a = fleet.joined("h2", seed)
    b = fleet.joined("h3", seed)
    ping(a.host, b.address())
    for daemon in (seed, a, b):
        said = [pathlib.Path(f"/proc/{daemon.process.pid}/cmdline").read_text(), daemon.log_text(),
                daemon.control("status", "--json").stdout, daemon.control("peers", "--json").stdout]
        assert not any(secret in text for text in said), daemon
        assert daemon.log_text(), "an empty log proves nothing"


def test_a_secret_may_come_from_the_environment(fleet):
    fleet.lab.lan(3)
    seed = fleet.seed("h1")
    a = fleet.joined("h2", seed)
    b = fleet.daemon("h3", "join", "home", "--bootstrap", seed.host.ip,
                     env={"P2PVPN_SECRET": fleet.secret_file.read_text().strip()}).wait_ready()
    assert ping(a.host, b.address()) == 3


def test_without_a_name_one_joins_the_open_community_and_is_told_so(fleet):
    fleet.lab.pair()
    a = fleet.daemon("a", "join", "--bootstrap", fleet.lab["b"].ip)
    b = fleet.daemon("b", "join", "--bootstrap", fleet.lab["a"].ip)
    a.wait_ready(), b.wait_ready()
    assert a.community()["name"] == "public"
    assert "public" in a.log_text() and "everybody" in a.log_text()
    assert ping(a.host, b.address()) == 3
