"""The laboratory itself: its NATs do what they are called after, and it leaves nothing behind."""
import os
import subprocess
import sys

import pytest

import netlab
from netlab import Lab
from traffic import Transfer, ping

pytestmark = pytest.mark.usefixtures("namespaces")


def test_each_nat_behaves_as_it_is_called():
    seen = {s.kind: s for s in netlab.observe_nats()}
    mapping_is_kept = {kind: s.seen_by_p1 == s.seen_by_p2 for kind, s in seen.items()}
    assert mapping_is_kept == {"none": True, "eim": True, "port-restricted": True, "symmetric": False,
                               "udp-blocked": True, "double": True}
    assert seen["udp-blocked"].seen_by_p1 is None
    assert {kind for kind, s in seen.items() if s.any_host} == {"none", "eim"}
    assert {kind for kind, s in seen.items() if s.any_port} == {"none", "eim"}
    assert all(s.tcp for s in seen.values())


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
