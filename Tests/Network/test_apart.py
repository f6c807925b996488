"""Two communities of one name on one ring, with the same pool and the same addresses: neither hears the other."""
import ipaddress

from ears import GROUP, GROUP6, Ear, Eye
from waiting import until

MDNS, MDNS6, MDNS_PORT = "224.0.0.251", "ff02::fb", 5353
POOL = ipaddress.ip_network("10.44.0.0/24")
EVERYBODY = (str(POOL.broadcast_address), "255.255.255.255", GROUP, GROUP6, MDNS, MDNS6)


class Person:
    """A member with a program that speaks, and an eye on its device."""

    def __init__(self, community, number, daemon):
        self.community, self.number, self.daemon = community, number, daemon.wait_ready()
        self.address, self.address6 = daemon.address(), daemon.address6()
        self.ear, self.eye = Ear(daemon), Eye(daemon)

    def say(self, there):
        """Says what comes from where and where it goes; returns it."""
        text = f"{self.community} {self.number} to {there}"
        self.ear.say(text, there, MDNS_PORT if there in (MDNS, MDNS6) else 9099)
        return text

    def close(self):
        self.ear.close(), self.eye.close()


def test_two_communities_with_the_same_addresses_do_not_hear_each_other(fleet):
    fleet.lab.lan(7)
    seed = fleet.seed("h1")
    communities = []
    for k, secret in enumerate((fleet.new_secret(), fleet.new_secret())):
        daemons = [fleet.join(f"h{2 + 3 * k + i}", seed, secret=secret, options=["--address", f"{POOL[i + 1]}/24"])
                   for i in range(3)]
        communities.append([Person(k, i, daemon) for i, daemon in enumerate(daemons)])
    people = sum(communities, [])
    assert [person.address for person in people] == 2 * [str(POOL[i]) for i in (1, 2, 3)]
    assert len({person.address6 for person in people}) == 6
    for own in communities:
        until("all of a community to be linked", lambda: all(
            person.daemon.has_neighbours(2) for person in own), 20)

    expected = {person: set() for person in people}
    for person in people:
        own, (foreign,) = communities[person.community], [c for c in communities if person not in c]
        others = [other for other in own if other is not person]
        for there in EVERYBODY:
            text = person.say(there)
            for other in others:
                expected[other].add(text)
        for other in others:
            expected[other] |= {person.say(other.address), person.say(other.address6)}
        for stranger in foreign:            # their IPv4 addresses are those of its own community
            person.daemon.host.ip_command("-6", "route", "add", stranger.address6, "dev", person.ear.device)
            person.say(stranger.address6)

    def seen(person):
        return {text for text in person.eye.look() if " to " in text}
    until("everybody to hear its own community", lambda: all(
        expected[person] <= seen(person) for person in people), 10,
        detail=lambda: "\n".join(f"{p.community} {p.number} missed {expected[p] - seen(p)}" for p in people))
    # What is said last comes last: what went astray would have come before.
    for person in people:
        person.ear.say(f"{person.community} {person.number} to the end", EVERYBODY[0])
    for own in communities:
        until("the end", lambda: all(sum("the end" in text for text in seen(person)) == 2 for person in own), 5)
    for person in people:
        assert {text for text in seen(person) if "the end" not in text} == expected[person]
        assert set(person.eye.look().values()) == {1}
        assert all(peer["community"] is None for peer in person.daemon.peers()
                   if peer["id"] in [other.daemon.id() for other in people if other.community != person.community])
        person.close()
