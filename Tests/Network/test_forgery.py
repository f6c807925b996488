"""Packets that a program sends in somebody else's name: its own node drops them, and counts them.

What a node would do that is changed to let them through is tested in NodeTests/ForgeryTests."""
import ipaddress
import socket
import struct

from ears import GROUP, GROUP6, PORT, UDP, Ear, Eye
from waiting import until

ETH_P_IP, ETH_P_IPV6 = 0x0800, 0x86DD
MDNS, MDNS6 = "224.0.0.251", "ff02::fb"


def checksum(data):
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + bytes(len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def datagram(source, destination, text):
    """An IP packet with a UDP datagram, as the kernel would have made it at the source."""
    source, destination = ipaddress.ip_address(source), ipaddress.ip_address(destination)
    ends, size = source.packed + destination.packed, 8 + len(text)
    body = struct.pack("!4H", PORT, PORT, size, 0) + text.encode()
    body = body[:6] + struct.pack("!H", checksum(ends + struct.pack("!HH", UDP, size) + body)) + body[8:]
    if source.version == 6:
        return struct.pack("!IHBB", 6 << 28, size, UDP, 64) + ends + body
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + size, 1, 0, 64, UDP, 0)
    return head[:10] + struct.pack("!H", checksum(head + ends)) + ends + body


class Forger:
    """A program with the privilege to put any packet onto a member's device."""

    def __init__(self, member):
        self.device = member.interface()
        self.socket = member.host.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)

    def say(self, text, source, destination):
        kind = ETH_P_IPV6 if ":" in source else ETH_P_IP
        self.socket.sendto(datagram(source, destination, text), (self.device, kind))


def test_nobody_hears_what_is_said_in_the_name_of_another(fleet):
    fleet.lab.lan(5)
    seed = fleet.seed("h1")
    members = [fleet.join(f"h{i}", seed) for i in range(2, 6)]
    for member in members:
        member.wait_ready()
    until("links", lambda: all(member.has_neighbours(3) for member in members), 20)
    culprit, victim, *_ = members
    ears, eyes = [Ear(member) for member in members], [Eye(member) for member in members[1:]]
    pool = ipaddress.ip_network(culprit.pool())
    targets = {4: [member.address() for member in members[2:]] + [str(pool.broadcast_address), "255.255.255.255",
                                                                 GROUP, MDNS],
               6: [member.address6() for member in members[2:]] + [GROUP6, MDNS6]}
    forger = Forger(culprit)

    def tell(source, mark):
        """Something to everybody and to two members; returns all that was said."""
        there = targets[ipaddress.ip_address(source).version]
        for target in there:
            forger.say(f"{mark} to {target}", source, target)
        return {f"{mark} to {target}" for target in there}

    def hear(texts):
        until("what is true is heard", lambda: all(
            texts <= set().union(*[eye.look() for eye in eyes]) and
            {text for text in texts if not text.endswith(single)} <= set(eye.look()) for eye in eyes), 5)
    single = tuple(target for there in targets.values() for target in there[:2])

    hear(tell(culprit.address(), "true") | tell(culprit.address6(), "true"))
    before = culprit.community()["dropped"]["foreign_source"]
    nobody = next(str(host) for host in pool.hosts() if str(host) not in [m.address() for m in members])
    nobody6 = str(ipaddress.ip_address(victim.address6()) + 1)
    sources = [victim.address(), nobody, "8.8.8.8", victim.address6(), nobody6, "2001:db8::1"]
    forged = set().union(*[tell(source, f"as {source}") for source in sources])
    until("all that is forged to be counted",
          lambda: culprit.community()["dropped"]["foreign_source"] - before == len(forged), 5,
          detail=lambda: f"{len(forged)} packets; {before} before, now {culprit.community()['dropped']}")
    # What is said last comes last: what was let through would have come before.
    hear(tell(culprit.address(), "in the end") | tell(culprit.address6(), "in the end"))
    for eye in eyes:
        assert not forged & set(eye.look()), forged & set(eye.seen)
    for member in members[1:]:
        assert member.community()["dropped"]["spoofed"] == 0
    forger.socket.close()
    for opened in (*ears, *eyes):
        opened.close()
