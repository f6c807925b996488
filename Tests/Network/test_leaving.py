"""A node that is told to go takes with it what it brought."""
import json
import signal

import pytest

from traffic import ping
from waiting import until

DIRECT = ("lan", "direct")


def machine_state(host):
    """Interfaces, addresses and routes, as far as people can see them."""
    links = {link["ifname"] for link in json.loads(host.run(["ip", "-j", "link"]))}
    routes = {host.run(["ip", family, "route", "show", "table", "all"]) for family in ("-4", "-6")}
    return links, routes, host.run(["ip", "rule"])


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, "leave"], ids=["SIGTERM", "SIGINT", "leave"])
def test_device_and_routes_are_gone(fleet, how):
    fleet.lab.lan(3)
    seed = fleet.seed("h1")
    a = fleet.joined("h2", seed)
    before = machine_state(fleet.lab["h3"])
    b = fleet.joined("h3", seed)
    assert ping(a.host, b.address()) == 3
    a.wait_path(b, DIRECT)
    assert machine_state(b.host) != before
    its_id = b.id()

    if how == "leave":
        left = b.control("leave")
        assert left.returncode == 0, left
        until("the device to go", lambda: machine_state(b.host) == before, 5, detail=b.tail)
    else:
        b.process.send_signal(how)
        assert b.wait_exit(5) == 0
        assert machine_state(b.host) == before
        assert not (b.state / "api.sock").exists()
        until("the other to notice", lambda: a.peer(its_id).get("path") not in DIRECT, 5, detail=a.tail)
