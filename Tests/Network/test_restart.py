"""Nodes that end, well or badly, and come back with the state they kept."""
import os
import random
import stat
import time

import pytest

from traffic import Flow, ping


def test_a_restarted_node_has_its_address_back(fleet):
    fleet.lab.lan(3)
    seed = fleet.seed("h1")
    a, b = fleet.joined("h2", seed), fleet.joined("h3", seed)
    before = b.id(), b.address(), b.address6()
    assert b.terminate() == 0
    b.restart().wait_ready()
    assert (b.id(), b.address(), b.address6()) == before
    assert ping(a.host, b.address()) == 3


@pytest.mark.parametrize("rounds", [20, pytest.param(200, marks=pytest.mark.soak)])
def test_killed_at_random_moments(fleet, rounds):
    """Each time: the same address, and pings from three others flow again within 3 s."""
    chance = random.Random(os.environ.get("P2PVPN_TEST_SEED", "killed"))
    fleet.lab.lan(5)
    seed = fleet.seed("h1")
    victim, *others = [fleet.join(f"h{i}", seed) for i in range(2, 6)]
    for member in (victim, *others):
        member.wait_ready()
    address = victim.address()
    for other in others:
        assert ping(other.host, address) == 3

    pauses = []
    for n in range(rounds):
        time.sleep(chance.uniform(0, 1.5))
        flows = [Flow(other.host, address, 0.1) for other in others]
        victim.kill9()
        if n % 4 == 3:                          # sometimes again, while it is still joining
            victim.restart()
            time.sleep(chance.uniform(0, 0.5))
            victim.kill9()
        back = time.time()
        victim.restart()
        pauses.append([flow.wait_reply(back, limit=15) for flow in flows])
        for flow in flows:
            flow.stop()
        assert victim.address() == address
    slowest = sorted((max(pause) for pause in pauses), reverse=True)
    print(f"slowest returns: {', '.join(f'{s:.2f}' for s in slowest[:5])} s")
    assert slowest[0] <= 3, f"seconds until all three had answers again: {pauses}"


def test_the_peer_cache_brings_a_node_back_when_every_bootstrap_is_down(fleet):
    fleet.lab.lan(4)
    seed = fleet.seed("h1")
    a, b = fleet.joined("h2", seed), fleet.joined("h3", seed)
    c = fleet.joined("h4", seed)
    address = c.address()
    time.sleep(max(0, c.started_at + 10 - time.monotonic()))
    c.kill9()
    seed.kill9()
    c.restart().wait_ready()
    assert c.address() == address
    assert ping(c.host, a.address()) == 3 and ping(b.host, address) == 3


def test_the_state_is_for_the_owner_only(fleet):
    fleet.lab.pair()
    a = fleet.seed("a")
    identities = [f for f in a.state.iterdir() if f.name.startswith("identity")]
    assert identities, sorted(f.name for f in a.state.iterdir())
    for file in identities:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    readable = [f.name for f in a.state.rglob("*") if f.is_file() and f.stat().st_mode & 0o077]
    assert not readable or not a.state.stat().st_mode & 0o077, f"open to others: {readable}"
