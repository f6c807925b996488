"""The smallest network: two members on one cable that name each other as bootstrap."""
import ipaddress
import json

import pytest

from traffic import ping, throughput

DIRECT = ("lan", "direct")


@pytest.fixture(params=[True, False], ids=["dual-stack", "ipv6-only"])
def two(request, fleet):
    """Both start together; neither is up when the other calls."""
    lab = fleet.lab.pair(ipv4=request.param)
    a, b = fleet.join("a", lab["b"]), fleet.join("b", lab["a"])
    return a.wait_ready(), b.wait_ready()


def test_packets_flow_both_ways_over_a_direct_path(two):
    a, b = two
    assert ping(a.host, b.address()) == 3
    assert ping(b.host, a.address()) == 3
    assert ping(a.host, b.address6()) == 3
    assert ping(b.host, a.address6()) == 3
    a.wait_path(b, DIRECT)
    b.wait_path(a, DIRECT)
    assert throughput(a.host, b.host, b.address()) > 10e6
    entry = a.peer(b)
    assert entry["address"] == b.address() and entry["community"] == "home"
    assert entry["tx_bytes"] > 1e6 and 0 <= entry["rtt_ms"] < 1000


def test_the_device_has_what_status_says(two):
    a, b = two
    assert a.address() != b.address() and a.pool() == b.pool()
    pool = ipaddress.ip_network(a.pool())
    assert pool.prefixlen == 16 and pool.subnet_of(ipaddress.ip_network("100.80.0.0/12"))
    assert ipaddress.ip_address(a.address()) in pool
    assert ipaddress.ip_address(a.address6()) in ipaddress.ip_network("fd00::/8")

    device = json.loads(a.host.run(["ip", "-j", "addr", "show", "dev", a.interface()]))[0]
    addresses = {entry["local"]: entry for entry in device["addr_info"]}
    assert addresses[a.address()]["prefixlen"] == 16
    assert addresses[a.address()]["broadcast"] == str(pool.broadcast_address)
    assert a.address6() in addresses
    assert "UP" in device["flags"] and device["mtu"] == 1400


def test_the_program_pings_and_looks_up_a_peer(two):
    a, b = two
    a.wait_path(b, DIRECT)
    answer = a.ping(b, count=3)
    lines = [line for line in answer.stdout.splitlines() if " ms" in line]
    assert answer.returncode == 0 and len(lines) >= 3, answer
    assert any(word in lines[-1] for word in DIRECT), answer.stdout
    found = a.control("lookup", b.address())
    assert found.returncode == 0 and b.id() in found.stdout, found
