"""What one member says to all: broadcasts and multicasts, each once to each member, and to nobody else."""
import collections
import ipaddress
import socket
import struct
import time

import pytest

import avahi
from avahi import Avahi
from waiting import until

PORT = 9099
GROUP, GROUP6 = "239.77.41.7", "ff15::7741"


class Ear:
    """Hears what comes to a member: broadcasts, and the groups that it has joined, IPv4 and IPv6."""

    def __init__(self, member):
        self.device, self.address = member.interface(), member.address()
        self.sockets = [member.host.socket(family, socket.SOCK_DGRAM) for family in (socket.AF_INET, socket.AF_INET6)]
        index = int(member.host.run(["cat", f"/sys/class/net/{self.device}/ifindex"]))
        four, six = self.sockets
        for s in self.sockets:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self.device.encode())
            s.setblocking(False)
        four.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        four.bind(("", PORT))
        group = socket.inet_aton(GROUP) + socket.inet_aton(self.address)
        four.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
        four.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(self.address))
        four.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
        six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        six.bind(("::", PORT))
        six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, socket.inet_pton(socket.AF_INET6, GROUP6) +
                       struct.pack("@I", index))
        six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
        self.heard = collections.Counter()

    def say(self, text, destination):
        there = ipaddress.ip_address(destination)
        self.sockets[there.version == 6].sendto(text.encode(), (destination, PORT))

    def listen(self):
        """Takes what has come; returns how often each text was heard so far."""
        for s in self.sockets:
            while True:
                try:
                    text, sender = s.recvfrom(2048)
                except BlockingIOError:
                    break
                self.heard[text.decode()] += 1
        return self.heard

    def close(self):
        for s in self.sockets:
            s.close()


def heard_once(ears, texts, limit=5):
    """Waits until all ears have heard all texts, and a moment longer for second copies."""
    until("all hear all", lambda: all(set(texts) <= set(ear.listen()) for ear in ears), limit)
    time.sleep(0.5)
    return {(ear.address, text): ear.listen()[text] for ear in ears for text in texts if ear.listen()[text] != 1}


def test_each_of_twenty_hears_it_once(fleet):
    fleet.lab.lan(21)
    seed = fleet.seed("h1")
    members = [fleet.join(f"h{i}", seed) for i in range(2, 22)]
    ears = [Ear(member.wait_ready()) for member in members]
    until("links", lambda: all(len(member.peers()) >= 8 for member in members), 30)
    broadcast = str(ipaddress.ip_network(members[0].pool()).broadcast_address)
    for turn, k in enumerate((0, 7, 13)):
        texts = {f"{turn} to {there}": there for there in (broadcast, "255.255.255.255", GROUP, GROUP6)}
        for text, there in texts.items():
            ears[k].say(text, there)
        others = [ear for ear in ears if ear is not ears[k]]
        assert not heard_once(others, texts)
    for ear in ears:
        ear.close()


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
