"""The laboratory itself: its NATs do what they are called after, and it leaves nothing behind."""
import contextlib
import json
import os
import random
import select
import subprocess
import sys

import pytest

import netlab
from netlab import Lab
from traffic import Transfer, ping

pytestmark = pytest.mark.usefixtures("namespaces")


@pytest.fixture(scope="module")
def sites():
    return netlab.observe_nats()


def test_each_nat_behaves_as_it_is_called(sites):
    seen = {s.kind.removesuffix(netlab.IPV6): s for s in sites if s.family == 4}
    mapping_is_kept = {kind: s.seen_by_p1 == s.seen_by_p2 for kind, s in seen.items()}
    assert mapping_is_kept == {"none": True, "eim": True, "port-restricted": True, "symmetric": False,
                               "udp-blocked": True, "double": True}
    assert seen["udp-blocked"].seen_by_p1 is None
    assert {kind for kind, s in seen.items() if s.any_host} == {"none", "eim"}
    assert {kind for kind, s in seen.items() if s.any_port} == {"none", "eim"}
    assert all(s.tcp for s in seen.values())


def test_ipv6_of_a_site_is_global_and_behind_a_firewall(sites):
    seen = {s.kind: s for s in sites if s.family == 6}
    assert set(seen) == set(netlab.SHOWN_KINDS)
    untranslated = {kind for kind, s in seen.items() if s.seen_by_p1 and s.seen_by_p1[0].endswith("::11")
                    and s.seen_by_p1[1] == 5000 and s.seen_by_p2 == s.seen_by_p1}
    assert untranslated == set(seen) - {"udp-blocked+ipv6"}
    assert seen["udp-blocked+ipv6"].seen_by_p1 is None
    assert {kind for kind, s in seen.items() if s.any_host or s.any_port} == {"none+ipv6"}
    assert all(s.tcp for s in seen.values())


def test_a_host_has_only_the_families_of_its_site():
    with Lab() as lab:
        lab.nat(2, ["port-restricted:2", "ipv6-only:1", "double+ipv6"])
        plain, only, both = lab["s1h1"], lab["s2h1"], lab["s3h1"]
        assert (plain.ip6, only.ip) == (None, None) and both.ip and both.ip6 == "2001:db8:3::11"
        for host in (plain, only, both):
            shown = json.loads(host.run(["ip", "-j", "addr", "show", "dev", "eth0", "scope", "global"]))
            assert {a.get("local") for link in shown for a in link["addr_info"]} - {None} == \
                {host.ip, host.ip6} - {None}
            assert all(ping(host, address) == 3 for p in (lab["p1"], lab["p2"])
                       for address, own in ((p.ip, host.ip), (p.ip6, host.ip6)) if own)
        assert ping(only, both.ip6, limit=0.3) == 0         # each behind its own firewall
        assert ping(plain, lab["s1h2"].ip) == 3


def test_many_ports_meet_by_chance_through_a_symmetric_and_a_port_restricted_nat():
    """400 sockets behind the one, 2,000 of 64,512 ports tried by the other: four in a million times none meets."""
    chance = random.Random(1)
    with Lab() as lab:
        lab.nat(1, ["symmetric", "port-restricted"])
        easy, hard = lab["s2h1"], lab["s1h1"]
        with contextlib.ExitStack() as sockets:
            here = sockets.enter_context(netlab.udp_socket(easy, easy.ip, 5000))
            there = [sockets.enter_context(netlab.udp_socket(hard, hard.ip, 10000 + n)) for n in range(400)]
            for s in there:
                s.sendto(b"open", (lab["s2r"].ip, 5000))
            assert netlab.received(here) == (None, None)        # nobody had asked for these
            for port in chance.sample(range(1024, 65536), 2000):
                here.sendto(b"probe", (lab["s1r"].ip, port))
            met = next((s for s in there if select.select([s], [], [], 0)[0]), None)
            assert met and netlab.received(met)[0] == b"probe"
            met.sendto(b"answer", (lab["s2r"].ip, 5000))
            assert netlab.received(here)[0] == b"answer"


def test_a_rebooted_nat_forgets_and_comes_back_with_another_port():
    with Lab() as lab:
        lab.nat(1, ["port-restricted"])
        host, p1 = lab["s1h1"], lab["p1"]
        client, server = (netlab.udp_socket(h, h.ip, 7741) for h in (host, p1))
        with client, server:
            client.sendto(b"x", (p1.ip, 7741))
            before = netlab.received(server)[1]
            lab.reboot_nat(1, port=17741)
            server.sendto(b"late", before)
            assert netlab.received(client) == (None, None)
            client.sendto(b"x", (p1.ip, 7741))
            after = netlab.received(server)[1]
            assert (before[1], after[1]) == (7741, 17741)
            server.sendto(b"answer", after)
            assert netlab.received(client)[0] == b"answer"


@pytest.mark.parametrize("name, old, new", [("p2", "198.51.100.2", "198.51.100.50"),
                                            ("s1h1", "192.168.1.11", "192.168.1.50")])
def test_a_renumbered_host_is_reached_at_its_new_address_only(name, old, new):
    with Lab() as lab:
        lab.nat(2, ["port-restricted:2"])
        lab.renumber(name, 50)
        other = lab["p1" if name == "p2" else "s1h2"]
        assert lab[name].ip == new and ping(other, new) == 3 and ping(other, old, limit=0.3) == 0
        assert ping(lab[name], lab["p1"].ip) == 3
        if lab[name].ip6:
            assert ping(other, "2001:db8::50") == 3


def test_a_host_that_moves_is_behind_its_new_nat():
    with Lab() as lab:
        lab.nat(1, ["port-restricted", "symmetric"])
        lab.move("s1h1", 2)
        assert lab["s1h1"].ip == "192.168.2.99"
        assert ping(lab["s1h1"], lab["p1"].ip) == 3 and ping(lab["s1h1"], lab["s2h1"].ip) == 3


@pytest.mark.parametrize("topology", [lambda lab: lab.pair(), lambda lab: lab.lan(2), lambda lab: lab.nat(2)],
                         ids=["pair", "lan", "internet"])
def test_hosts_reach_each_other_by_both_families(topology):
    with Lab() as lab:
        topology(lab)
        one, two = (h for h in lab.hosts.values() if h.role == "host")
        assert ping(one, two.ip) == 3
        assert ping(one, two.ip6) == 3
        assert Transfer(one, two, two.ip6, 1 << 20).received_bytes == 1 << 20


def test_a_firewall_forbids_counts_and_permits():
    with Lab() as lab:
        lab.nat(3)
        a, b, c, internet = (lab[name] for name in ("p1", "p2", "p3", "internet"))
        internet.watch(a, b)
        assert ping(a, b.ip) == 3 and internet.watched() == 6
        internet.forbid(a, b)
        assert ping(a, b.ip, limit=0.3) == 0 and ping(a, b.ip6, limit=0.3) == 0 and ping(a, c.ip) == 3
        internet.permit()
        assert ping(a, b.ip) == 3
        client, server = netlab.udp_socket(a, a.ip, 7000), netlab.udp_socket(b, b.ip, 7000)
        with client, server:
            for blocked in (False, True):
                if blocked:
                    internet.block_udp(a)
                client.sendto(b"x", (b.ip, 7000))
                assert (netlab.received(server)[0] is None) == blocked
        assert ping(a, b.ip) == 3


def test_nothing_stays_behind_whichever_way_the_owner_ends():
    for ending in ("raise KeyboardInterrupt", "os.kill(os.getpid(), 15)", "os.kill(os.getpid(), 9)"):
        script = (f"import os, netlab\nnetlab.exit_on_signals()\nlab = netlab.Lab().pair()\n"
                  f"lab['a'].popen(['sleep', '100'])\n{ending}")
        owner = subprocess.Popen([sys.executable, "-c", script], cwd=os.path.dirname(netlab.__file__),
                                 stderr=subprocess.DEVNULL)
        owner.wait(20)
        netlab.clean()
        left = netlab.sh(["ip", "netns", "list"])
        assert f"{netlab.PREFIX}-{owner.pid}-" not in left, ending
