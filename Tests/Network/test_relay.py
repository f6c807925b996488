"""What the owner of a relay has said: for whom, and how much.

A firewall lets two members talk through others only, so that it shows whom a relay serves."""
import pytest

from traffic import Transfer, ping
from waiting import until

MEGABYTE = 1_000_000


@pytest.fixture
def internet(fleet):
    """Two hosts for relays, two for members, and no direct way between the members."""
    fleet.lab.nat(public=4)
    router = fleet.lab["internet"]
    router.forbid(fleet.lab["p3"], fleet.lab["p4"])
    return router


def members(fleet, *bootstraps):
    """Two members, both ready, that will come in through these hosts."""
    a, b = (fleet.join(host, *bootstraps) for host in ("p3", "p4"))
    return a.wait_ready(), b.wait_ready()


def served_by(a, b, relay):
    """Both sides name this relay."""
    there = relay.id()
    until(f"{relay} to be the relay of both",
          lambda: all(here.peer(other).get("path") == "proxy" and here.peer(other).get("via") == there
                      for here, other in ((a, b), (b, a))), 20, detail=lambda: f"{a.peer(b)}\n{b.peer(a)}")


@pytest.mark.parametrize("terms", [("--relay", "off"), ("--relay-for", "members")], ids=" ".join)
def test_a_relay_that_refuses_is_passed_by(fleet, internet, terms):
    """...and the other one, which any pair may use, serves."""
    unwilling = fleet.seed("p1", *terms)
    willing = fleet.seed("p2", "--bootstrap", unwilling.host.ip)
    a, b = members(fleet, unwilling, willing)
    assert ping(a.host, b.address()) == 3
    served_by(a, b, willing)


def test_without_a_relay_for_strangers_traffic_stays_on_the_ring(fleet, internet):
    """A seed is a member of nothing: it serves nobody who says `members`. A member serves its own."""
    seed = fleet.seed("p1", "--relay-for", "members")
    a, b = members(fleet, seed)
    assert ping(a.host, b.address(), count=20) == 20
    assert (a.path_to(b), b.path_to(a)) == ("overlay", "overlay")
    assert a.peer(b)["reason"], a.peer(b)
    served_by(a, b, fleet.joined("p2", seed, options=("--relay-for", "members")))


def test_a_month_that_is_used_up_moves_traffic_to_another_relay(fleet, internet):
    """`status` says so, also after a restart, because what was forwarded is kept."""
    scarce = fleet.seed("p1", "--relay", "1gbit", "--relay-monthly", "2MB")
    a, b = members(fleet, scarce, fleet.lab["p2"])
    assert ping(a.host, b.address()) == 3
    served_by(a, b, scarce)
    other = fleet.seed("p2", "--relay", "1gbit", "--bootstrap", scarce.host.ip)
    transfer = Transfer(a.host, b.host, b.address(), 10 * MEGABYTE)
    assert transfer.received == transfer.sent
    served_by(a, b, other)
    assert any("--relay-monthly" in text for text in scarce.status()["warnings"]), scarce.status()
    scarce.terminate()
    scarce.restart().wait_ready()
    until("the warning after a restart",
          lambda: any("--relay-monthly" in text for text in scarce.status()["warnings"]), 5, detail=scarce.tail)
