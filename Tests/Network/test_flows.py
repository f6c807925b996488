"""A TCP connection and a ping that go on while the ways between two members come and go.

A path that is silent for t seconds stops TCP for up to 2 t, because its retransmissions are spaced
ever wider; so the pings say how long the network was away, and the stream has to get over it."""
import contextlib
import time

import pytest

from traffic import Flow, Stream, ping

DIRECT, PROXY, OVERLAY = ("direct", "lan"), ("proxy",), ("overlay",)


class Traffic(contextlib.ExitStack):
    """A ping every 20 ms and a stream of 20 Mbit/s from a to b."""

    def __init__(self, a, b):
        super().__init__()
        self.flow = self.enter_context(Flow(a.host, b.address(), interval=0.02))
        self.stream = self.enter_context(Stream(a.host, b.host, b.address()))

    def goes_on(self, since, limit):
        """Both go on after `since`, and have paused for no more than `limit` seconds (the stream: twice)."""
        self.flow.wait_reply(time.time(), 4 * limit)
        self.stream.wait_bytes(time.time(), 4 * limit)
        pauses = self.flow.gap(since), self.stream.gap(since)
        print(f"pauses: ping {pauses[0]:.2f} s, TCP {pauses[1]:.2f} s")
        assert self.stream.is_alive()
        assert pauses[0] <= limit and pauses[1] <= 2 * limit + 0.5, pauses


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


def behind_nats(fleet, *kinds):
    fleet.lab.nat(public=1, sites=kinds)
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
        traffic.goes_on(start, limit=0.5)
    assert (traffic.flow.lost, traffic.flow.doubled) == ([], [])


def test_a_direct_path_that_is_cut_and_comes_back(fleet, internet):
    a, b = members(fleet, "p3", "p4")
    both(a, b, DIRECT)
    with Traffic(a, b) as traffic:
        cut = time.time()
        internet.forbid(a.host, b.host)
        both(a, b, PROXY)
        traffic.goes_on(cut, limit=8)
        restored = time.time()
        internet.permit()
        both(a, b, DIRECT, limit=90)
        time.sleep(1)
        traffic.goes_on(restored, limit=0.5)


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
        traffic.flow.wait_reply(killed + 0.2, 30)
        both(a, b, PROXY)
        traffic.goes_on(killed, limit=2)
    assert a.peer(b)["via"] in relays and b.peer(a)["via"] in relays


@pytest.mark.parametrize("port", [None, 17741], ids=["same-port", "other-port"])
def test_a_nat_is_rebooted(fleet, port):
    a, b = behind_nats(fleet, "port-restricted", "port-restricted")
    with Traffic(a, b) as traffic:
        rebooted = time.time()
        fleet.lab.reboot_nat(1, port)
        traffic.flow.wait_reply(rebooted + 0.2, 30)
        both(a, b, DIRECT, limit=30)
        traffic.goes_on(rebooted, limit=8)


def test_a_public_host_comes_to_another_address(fleet, internet):
    a, b = members(fleet, "p3", "p4")
    both(a, b, DIRECT)
    roams(fleet, a, b, "p3")


def test_a_host_behind_a_nat_comes_to_another_address(fleet):
    a, b = behind_nats(fleet, "port-restricted", "port-restricted")
    roams(fleet, a, b, "s1h1")


def roams(fleet, a, b, host):
    with Traffic(a, b) as traffic:
        moved = time.time()
        fleet.lab.renumber(host, 77)
        traffic.flow.wait_reply(moved + 0.1, 30)
        both(a, b, DIRECT, limit=30)
        traffic.goes_on(moved, limit=3)
