"""A member in a network that lets no UDP out, with one public seed."""
import pytest

from traffic import Transfer, ping, throughput

TCP = ("tcp",)


@pytest.fixture
def office(fleet):
    """A public seed that forwards fast, a public member, and a member without UDP."""
    fleet.lab.nat(public=2, sites=["udp-blocked:1"])
    seed = fleet.seed("p1", "--relay", "1gbit")
    public = fleet.join("p2", seed).wait_ready()
    return seed, public, fleet.join("s1h1", seed).wait_ready(limit=40)


def test_a_member_without_udp_joins_and_reaches_a_public_member_over_tcp(fleet, office):
    seed, public, member = office
    member.wait_path(seed, TCP)
    seed.wait_path(member, TCP)
    assert ping(member.host, public.address()) == 3
    assert ping(public.host, member.address()) == 3
    # The blocked side has connected; the other one has accepted.
    member.wait_path(public, TCP)
    public.wait_path(member, TCP)
    for here, there in ((member, public), (public, member)):
        transfer = Transfer(here.host, there.host, there.address(), 20_000_000)
        assert transfer.received == transfer.sent
    assert member.path_to(public) in TCP
    print(f"{throughput(member.host, public.host, public.address()) / 1e6:.0f} Mbit/s over TCP in TCP")
    assert member.path_to(public) in TCP


def test_a_restarted_seed_is_connected_to_again(fleet, office):
    seed, _, member = office
    member.wait_path(seed, TCP)
    seed.kill9()
    seed.restart().wait_ready()
    member.wait_path(seed, TCP, limit=60)
