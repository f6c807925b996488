"""A seed only helps to get in: without it everything goes on, and others let newcomers in."""
import time

import pytest

from daemon import Daemon
from traffic import Flow, ping

DIRECT = ("lan", "direct")


@pytest.mark.parametrize("end", [Daemon.terminate, Daemon.kill9], ids=["terminated", "killed"])
def test_everything_goes_on_without_the_seed(fleet, end):
    fleet.lab.lan(7)
    seed = fleet.seed("h1")
    members = [fleet.join(f"h{i}", seed) for i in range(2, 6)]
    w, x, y, z = [member.wait_ready() for member in members]
    addresses = [member.address() for member in members]
    for here, there in ((w, x), (y, z)):
        ping(here.host, there.address())
        here.wait_path(there, DIRECT)

    with Flow(w.host, x.address(), 0.05) as one, Flow(y.host, z.address(), 0.05) as two:
        end(seed)
        time.sleep(3)
    assert (one.lost, two.lost, one.doubled, two.doubled) == ([], [], [], [])

    for here, there in ((w, z), (x, y), (z, x)):
        assert ping(here.host, there.address()) == 3, "two members that had not talked before"
    for host, through in (("h6", w), ("h7", z)):
        newcomer = fleet.joined(host, through)
        assert newcomer.address() not in addresses
        addresses.append(newcomer.address())
        for member in members:
            assert ping(newcomer.host, member.address()) == 3
            assert ping(member.host, newcomer.address()) == 3
