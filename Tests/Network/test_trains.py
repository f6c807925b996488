"""Packets in trains: what goes through is what was sent, whatever each end and the cable can do."""
import socket

import pytest

from datagrams import udp_batches
from traffic import Transfer, ping

DIRECT = ("lan", "direct")
SIZE = 20_000_000
WAYS = {
    "trains": ((), (), "on"),
    "cut-cable": ((), (), "off"),
    "one-without": (("--offload", "off"), (), "on"),
    "two-libraries": (("--aead", "libsodium"), ("--aead", "auto"), "on"),
}


def bad_checksums(host):
    """TCP segments and UDP datagrams that a kernel has refused for their checksum."""
    lines = host.run(["cat", "/proc/net/snmp"]).splitlines()
    found = 0
    for names, values in zip(lines[::2], lines[1::2]):
        found += sum(int(v) for n, v in zip(names.split(), values.split()) if n == "InCsumErrors")
    return found


@pytest.fixture(params=WAYS.values(), ids=WAYS.keys())
def two(request, fleet):
    first, second, cable = request.param
    lab = fleet.lab.pair()
    lab.offloads(cable)
    a = fleet.join("a", lab["b"], options=first)
    b = fleet.join("b", lab["a"], options=second)
    for member in (a, b):
        member.wait_ready()
    assert ping(a.host, b.address()) == 3
    a.wait_path(b, DIRECT)
    b.wait_path(a, DIRECT)
    return a, b


def test_what_arrives_is_what_was_sent(two):
    a, b = two
    for here, there in ((a, b), (b, a)):
        for address in (there.address(), there.address6()):
            transfer = Transfer(here.host, there.host, address, SIZE)
            assert transfer.received == transfer.sent, address
    for address in (b.address(), b.address6()):
        _, lost, _ = udp_batches(a.host, b.host, address, 1_200, 10, 2, 40e6)
        assert lost < 1, address
    # Datagrams of one size, but the last of each call, as QUIC sends them; and ones that are cut in two.
    for size in (1, 1_000, 1_372, 1_373, 3_000):
        assert echoes(a.host, b.host, b.address(), size) == 20, size
    assert bad_checksums(a.host) == bad_checksums(b.host) == 0


def echoes(here, there, address, size):
    """How many of 20 datagrams of a size arrive as they were."""
    with there.socket(socket.AF_INET, socket.SOCK_DGRAM) as server, here.socket(
            socket.AF_INET, socket.SOCK_DGRAM) as client:
        server.bind((address, 0))
        server.settimeout(2)
        sent = [bytes([i]) * size for i in range(20)]
        for data in sent:
            client.sendto(data, server.getsockname())
        received = []
        try:
            while len(received) < 20:
                received.append(server.recv(65_536))
        except TimeoutError:
            pass
        return sum(data in sent for data in received)


def test_status_says_what_the_kernel_does(fleet):
    lab = fleet.lab.pair()
    a = fleet.join("a", lab["b"])
    b = fleet.join("b", lab["a"], options=("--offload", "off", "--aead", "libsodium"))
    for member in (a, b):
        member.wait_ready()
    with_trains, without = a.status()["data"], b.status()["data"]
    assert {"checksum", "tcp"} <= set(with_trains["device_offload"]) and with_trains["receives_runs"]
    assert without["device_offload"] == [] and not without["receives_runs"]
    assert not without["sends_runs"] and with_trains["sends_runs"]
    assert without["aead"].startswith("libsodium")


def test_behind_a_hop_that_cannot_sum_checksums_are_right(fleet):
    """A member hands a connection on to a host of its own: over a cable whose interface sums nothing."""
    lab = fleet.lab.lan(3)
    a = fleet.join("h1", lab["h2"])
    b = fleet.join("h2", lab["h1"])
    for member in (a, b):
        member.wait_ready()
    assert ping(a.host, b.address()) == 3
    a.wait_path(b, DIRECT)
    far = lab["h3"]
    far.offload("eth0", gro="off", rx="off")
    b.host.offload("eth0", tx="off", sg="off", tso="off", gso="off")
    b.host.nft(f"""table ip onward {{
  chain prerouting {{ type nat hook prerouting priority -100;
    ip daddr {b.address()} tcp dport 9000 dnat to {far.ip}
  }}
  chain postrouting {{ type nat hook postrouting priority 100; ip daddr {far.ip} masquerade
  }}
}}
""")
    b.host.setting("net/ipv4/ip_forward", 1)
    transfer = Transfer(a.host, far, far.ip, 20_000_000, port=9000, through=b.address())
    assert transfer.received == transfer.sent
    assert bad_checksums(far) == 0
