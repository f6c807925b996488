"""Members behind NATs, with one public seed."""
import pytest

from traffic import Flow, ping

DIRECT = ("lan", "direct")


def behind(fleet, *kinds):
    """A public seed, and one member behind a NAT of each kind."""
    fleet.lab.nat(public=1, sites=[f"{kind}:1" for kind in kinds])
    seed = fleet.seed("p1")
    members = [fleet.join(f"s{k}h1", seed) for k in range(1, len(kinds) + 1)]
    return [member.wait_ready() for member in members]


@pytest.mark.parametrize("kind", ["eim", "port-restricted"])
def test_a_direct_path_forms_between_nats_that_keep_their_ports(fleet, kind):
    """...and the pings that were sent meanwhile, the first one too, are all answered once."""
    a, b = behind(fleet, kind, kind)
    with Flow(a.host, b.address(), 0.05) as flow:
        a.wait_path(b, DIRECT)
        b.wait_path(a, DIRECT)
    assert (flow.lost, flow.doubled) == ([], [])
    assert ping(b.host, a.address()) == 3


def test_symmetric_nats_are_reached_through_a_circuit(fleet):
    a, b = behind(fleet, "symmetric", "symmetric")
    assert ping(a.host, b.address()) == 3
    assert ping(b.host, a.address(), count=50, interval=0.1) == 50
    a.wait_path(b, ("proxy",))
    entry = a.peer(b)
    assert entry["via"] and entry["reason"], entry


def test_two_members_behind_one_nat_meet_inside(fleet):
    """No NAT here hairpins: only their inside addresses can work."""
    fleet.lab.nat(public=1, sites=["port-restricted:2"])
    seed = fleet.seed("p1")
    a, b = fleet.join("s1h1", seed), fleet.join("s1h2", seed)
    a.wait_ready(), b.wait_ready()
    assert ping(a.host, b.address()) == 3
    a.wait_path(b, DIRECT)
    b.wait_path(a, DIRECT)
