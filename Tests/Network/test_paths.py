"""The same session over the overlay, through a circuit, over a direct path, and moving between them."""
import time

import pytest

from daemon import PORT
from traffic import Copies, Flow, Transfer, ping

DIRECT = ("direct", "lan")
OVERLAY = ("overlay",)
PROXY = ("proxy",)
HUNDRED_MB = 100_000_000


@pytest.fixture
def internet(fleet):
    """A seed that forwards fast, and two more public hosts."""
    fleet.lab.nat(public=3)
    fleet.relay = fleet.seed("p1", "--relay", "1gbit")
    return fleet.lab["internet"]


def two_members(fleet):
    a, b = fleet.join("p2", fleet.relay), fleet.join("p3", fleet.relay)
    return a.wait_ready(), b.wait_ready()


def expect_path(a, b, words):
    a.wait_path(b, words)
    b.wait_path(a, words)


@pytest.mark.parametrize("path", [OVERLAY, PROXY, DIRECT], ids=["overlay", "proxy", "direct"])
def test_ping_and_a_hundred_megabytes(fleet, internet, path):
    """Through others because a firewall forbids anything else, or directly."""
    if path != DIRECT:
        internet.forbid(fleet.lab["p2"], fleet.lab["p3"])
    a, b = two_members(fleet)
    assert ping(a.host, b.address()) == 3
    if path == OVERLAY:
        for here, there in ((a, b), (b, a)):
            assert here.control("path", there.address(), "overlay").returncode == 0
    expect_path(a, b, path)
    transfer = Transfer(a.host, b.host, b.address(), HUNDRED_MB)
    assert transfer.received_bytes == HUNDRED_MB and transfer.received == transfer.sent
    assert a.path_to(b) in path and b.path_to(a) in path
    assert b.peer(a)["rx_bytes"] >= HUNDRED_MB
    print(f"{path[0]}: {HUNDRED_MB * 8e-6 / transfer.seconds:.0f} Mbit/s")


@pytest.mark.parametrize("switches", [10, pytest.param(200, marks=pytest.mark.soak)])
def test_switching_paths_loses_and_doubles_nothing(fleet, internet, switches):
    a, b = two_members(fleet)
    ping(a.host, b.address())
    expect_path(a, b, DIRECT)
    internet.watch(a.host, b.host)          # the wire as a witness
    with Flow(a.host, b.address(), interval=0.02) as flow:
        for n in range(switches):
            command, expected = ("auto", DIRECT) if n % 2 else ("overlay", OVERLAY)
            for here, there in ((a, b), (b, a)):
                done = here.control("path", there.address(), command)
                assert done.returncode == 0, done
            expect_path(a, b, expected)
            pings, seen = len(flow.replies()), internet.watched()
            time.sleep(0.5)
            pings, seen = len(flow.replies()) - pings, internet.watched() - seen
            went_directly = seen > pings        # a ping and its answer are two packets
            assert went_directly == (expected == DIRECT), f"{pings} pings, {seen} direct packets"
    assert (flow.lost, flow.doubled) == ([], [])
    assert flow.sent > switches * 20


def test_a_firewall_that_closes_later_moves_traffic_to_others(fleet, internet):
    a, b = two_members(fleet)
    ping(a.host, b.address())
    expect_path(a, b, DIRECT)
    with Flow(a.host, b.address(), interval=0.1) as flow:
        internet.forbid(a.host, b.host)
        closed = time.time()
        time.sleep(0.2)                         # what is under way may still arrive
        pause = flow.wait_reply(closed + 0.2, limit=15)
    assert pause <= 5, f"{pause:.1f} s without an answer"
    assert a.path_to(b) in ("overlay", "proxy")
    expect_path(a, b, PROXY)


def test_copies_that_arrive_first_from_another_address_lead_nobody_there(fleet):
    """Whoever copies datagrams on the way, and is quicker, does not become the peer. What he can do is to
    make a path seem silent, as every answer seems to come from him; so it may be left."""
    fleet.lab.nat(public=3, delay=10)
    thief = fleet.lab.public_host(4)
    fleet.relay = fleet.seed("p1", "--relay", "1gbit")
    a, b = two_members(fleet)
    ping(a.host, b.address())
    expect_path(a, b, DIRECT)
    theirs = {None} | {f"{ip}:{PORT}" for host in (a.host, b.host) for ip in (host.ip, f"[{host.ip6}]")}
    with Flow(a.host, b.address(), interval=0.02) as flow, Copies(a.host, b.host, thief, PORT) as copies:
        for _ in range(20):
            time.sleep(0.2)
            assert {a.peer(b).get("endpoint"), b.peer(a).get("endpoint")} <= theirs
    assert copies.count > 100
    assert (flow.lost, flow.doubled) == ([], [])
