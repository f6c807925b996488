"""What one member says to all: broadcasts and multicasts, each once to each member, and to nobody else."""
import ipaddress

import pytest

import avahi
from avahi import Avahi
from ears import GROUP, GROUP6, Ear, heard_once
from traffic import paced
from waiting import until


@pytest.fixture
def twenty(fleet):
    """The ears of twenty members on one network, which have joined both groups."""
    fleet.lab.lan(21)
    seed = fleet.seed("h1")
    members = [fleet.join(f"h{i}", seed) for i in range(2, 22)]
    ears = [Ear(member.wait_ready()) for member in members]
    until("links", lambda: all(member.has_neighbours(8) for member in members), 30)
    for ear in ears:
        ear.broadcast = str(ipaddress.ip_network(members[0].pool()).broadcast_address)
    yield ears
    for ear in ears:
        ear.close()


def test_each_of_twenty_hears_it_once(twenty):
    for turn, k in enumerate((0, 7, 13)):
        speaker = twenty[k]
        texts = {f"{turn} to {there}": there for there in (speaker.broadcast, "255.255.255.255", GROUP, GROUP6)}
        for text, there in texts.items():
            speaker.say(text, there)
        assert not heard_once([ear for ear in twenty if ear is not speaker], texts)


def test_beacons_and_streams_of_three_come_to_each_of_twenty_once(twenty):
    """20 broadcasts at 10/s beside 200 multicasts at 50/s: nothing is lost, nothing comes twice."""
    for k, group in ((2, GROUP), (9, GROUP6), (16, GROUP)):
        speaker, texts = twenty[k], []
        for n in paced(50, 200):
            texts.append(f"{k}: packet {n} of the stream")
            speaker.say(texts[-1], group)
            if n % 5 == 0 and n < 100:
                texts.append(f"{k}: beacon {n // 5}")
                speaker.say(texts[-1], speaker.broadcast)
            for ear in twenty:
                ear.listen()
        assert not heard_once([ear for ear in twenty if ear is not speaker], texts)
    assert not any(count > 1 for ear in twenty for count in ear.listen().values())


@pytest.mark.skipif(not avahi.is_there(), reason="avahi-daemon or dbus-daemon is not installed (Tools/install-deps)")
def test_avahi_finds_a_service_across_two_nats(fleet):
    fleet.lab.nat(public=1, sites=["port-restricted:1", "symmetric:1"])
    seed = fleet.seed("p1")
    a, b = [fleet.join(host, seed) for host in ("s1h1", "s2h1")]
    a.wait_ready(), b.wait_ready()
    with Avahi(a, fleet.folder) as here, Avahi(b, fleet.folder) as there:
        here.publish("printer", "_ipp._tcp", 631)
        until("the service", lambda: any(
            (name, host, port) == ("printer", "host-s1h1.local", 631) and address in (a.address(), a.address6())
            for name, host, address, port in there.services("_ipp._tcp")), 30)
        found = there.run("avahi-resolve", "-4", "-n", "host-s1h1.local")
        assert found.stdout.split() == ["host-s1h1.local", a.address()], found
