"""A TCP connection and a ping that go on while the ways between two members come and go.

A path that is silent for t seconds stops TCP for up to 2 t, because its retransmissions are spaced
ever wider; so the pings say how long the network was away, and the stream has to get over it."""
import contextlib
import time

import pytest

from traffic import Flow, Stream, ping

SILENCE_LIMIT, RELAY_LIMIT, ROAMING_LIMIT = 5, 2, 3           # seconds
DIRECT, PROXY, OVERLAY = ("direct", "lan"), ("proxy",), ("overlay",)


class Traffic(contextlib.ExitStack):
    """A ping of 1,200 bytes every 20 ms and a stream of 20 Mbit/s from a to b."""

    def __init__(self, a, b):
        super().__init__()
        self.flow = self.enter_context(Flow(a.host, b.address(), interval=0.02, size=1200))
        self.stream = self.enter_context(Stream(a.host, b.host, b.address()))

    def comes_back(self, since, limit):
        """Wait until both have gone on for two seconds after what happened at `since`."""
        time.sleep(0.2)                         # what was under way may still arrive
        self.flow.wait_reply(since + 0.2, limit)
        self.stream.wait_bytes(since + 0.2, limit)
        time.sleep(2)

    def paused(self, since, limit):
        """Both stand, and have paused since then for no more than `limit` seconds (TCP: as long as that makes it)."""
        self.flow.wait_reply(time.time(), 2 * limit + 1)
        self.stream.wait_bytes(time.time(), 3 * limit + 1)
        pauses = self.flow.gap(since), self.stream.gap(since)
        print(f"pauses: ping {pauses[0]:.2f} s, TCP {pauses[1]:.2f} s")
        assert self.stream.is_alive()
        assert pauses[0] <= limit and pauses[1] <= 2.5 * limit + 0.5, pauses


@pytest.fixture
def internet(fleet):
    """Two seeds that forward fast, two more public hosts, and the router between all of them."""
    fleet.lab.nat(public=4)
    fleet.relays = [fleet.seed("p1", "--relay", "1gbit")]
    fleet.relays.append(fleet.seed("p2", "--relay", "1gbit", "--bootstrap", fleet.lab["p1"].ip))
    return fleet.lab["internet"]


def members(fleet, *hosts):
    """Two members that have met."""
    a, b = (fleet.join(host, *fleet.relays) for host in hosts)
    a.wait_ready(), b.wait_ready()
    assert ping(a.host, b.address()) == 3
    return a, b


def behind_nats(fleet):
    """Two members behind two of three NATs, with a direct path."""
    fleet.lab.nat(public=1, sites=["port-restricted"] * 3)
    fleet.relays = [fleet.seed("p1", "--relay", "1gbit")]
    a, b = members(fleet, "s1h1", "s2h1")
    both(a, b, DIRECT)
    return a, b


def both(a, b, words, limit=20):
    a.wait_path(b, words, limit)
    b.wait_path(a, words, limit)


def pin(a, b, command):
    for here, there in ((a, b), (b, a)):
        assert here.control("path", there.address(), command).returncode == 0


def test_from_the_ring_to_a_proxy_to_a_direct_path_nothing_is_lost(fleet, internet):
    """Planned switches: no ping is lost or doubled, and TCP does not notice."""
    internet.forbid(fleet.lab["p3"], fleet.lab["p4"])
    a, b = members(fleet, "p3", "p4")
    pin(a, b, "overlay")
    both(a, b, OVERLAY)
    with Traffic(a, b) as traffic:
        start = time.time()
        pin(a, b, "auto")
        both(a, b, PROXY)
        time.sleep(1)
        internet.permit()
        both(a, b, DIRECT, limit=90)
        time.sleep(1)
        traffic.paused(start, limit=0.5)
    assert (traffic.flow.lost, traffic.flow.doubled) == ([], [])


def test_a_direct_path_that_is_cut_and_comes_back(fleet, internet):
    a, b = members(fleet, "p3", "p4")
    both(a, b, DIRECT)
    with Traffic(a, b) as traffic:
        cut = time.time()
        internet.forbid(a.host, b.host)
        both(a, b, PROXY)
        traffic.paused(cut, limit=SILENCE_LIMIT)
        restored = time.time()
        internet.permit()
        both(a, b, DIRECT, limit=90)
        time.sleep(1)
        traffic.paused(restored, limit=0.5)


def test_udp_that_is_blocked_later_gives_way_to_tcp(fleet, internet):
    a, b = members(fleet, "p3", "p4")
    both(a, b, DIRECT)
    with Traffic(a, b) as traffic:
        blocked = time.time()
        internet.block_udp(a.host)
        traffic.comes_back(blocked, limit=30)
        both(a, b, ("tcp",))
        traffic.paused(blocked, limit=8)


def test_a_relay_that_dies_is_replaced_by_another_one(fleet, internet):
    internet.forbid(fleet.lab["p3"], fleet.lab["p4"])
    a, b = members(fleet, "p3", "p4")
    both(a, b, PROXY)
    relays = {relay.id(): relay for relay in fleet.relays}
    with Traffic(a, b) as traffic:
        dead = {relays.pop(here.peer(there)["via"], None) for here, there in ((a, b), (b, a))} - {None}
        killed = time.time()
        for relay in dead:
            relay.kill9()
        traffic.comes_back(killed, limit=30)
        both(a, b, PROXY)
        traffic.paused(killed, limit=RELAY_LIMIT)
    assert a.peer(b)["via"] in relays and b.peer(a)["via"] in relays


@pytest.mark.parametrize("port", [None, 17741], ids=["same-port", "other-port"])
def test_a_nat_is_rebooted(fleet, port):
    """It has forgotten everything, and gives the same ports again, or others."""
    a, b = behind_nats(fleet)
    with Traffic(a, b) as traffic:
        rebooted = time.time()
        fleet.lab.reboot_nat(1, port)
        traffic.comes_back(rebooted, limit=30)
        both(a, b, DIRECT)
        traffic.paused(rebooted, limit=8)


def test_a_public_host_gets_another_address(fleet, internet):
    a, b = members(fleet, "p3", "p4")
    roams(a, b, lambda: fleet.lab.renumber("p3", 77))


def test_a_host_behind_a_nat_gets_another_address(fleet):
    """The NAT still has the mappings of its old one, so there need not be a direct path for some time."""
    a, b = behind_nats(fleet)
    roams(a, b, lambda: fleet.lab.renumber("s1h1", 77), words=(*DIRECT, *PROXY))


def test_a_host_goes_behind_another_nat(fleet):
    a, b = behind_nats(fleet)
    roams(a, b, lambda: fleet.lab.move("s1h1", 3))


def roams(a, b, move, words=DIRECT):
    both(a, b, DIRECT)
    with Traffic(a, b) as traffic:
        moved = time.time()
        move()
        traffic.comes_back(moved, limit=30)
        both(a, b, words)
        traffic.paused(moved, limit=ROAMING_LIMIT)
