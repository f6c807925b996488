"""Multicast streams: they reach the members whose programs have joined the group, and no other device."""
import collections
import socket
import struct
import time

import pytest

from waiting import until

PORT = 9077
GROUPS = {socket.AF_INET: "239.77.41.9", socket.AF_INET6: "ff15::7742"}
ETH_P_ALL, OUTGOING = 3, 4


class Listener:
    """A program on a member's machine that may join groups, and an eye on all that its device is given."""

    def __init__(self, member):
        self.member, device = member, member.interface()
        self.index = int(member.host.run(["cat", f"/sys/class/net/{device}/ifindex"]))
        self.eye = member.host.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
        self.eye.bind((device, ETH_P_ALL))
        self.sockets = {family: member.host.socket(family, socket.SOCK_DGRAM) for family in GROUPS}
        six = self.sockets[socket.AF_INET6]
        six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, self.index)
        self.sockets[socket.AF_INET].setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF,
                                                socket.inet_aton(member.address()))
        for s in self.sockets.values():
            s.bind(("", PORT))
        for s in (self.eye, *self.sockets.values()):
            s.setblocking(False)
        self.heard, self.given = collections.Counter(), 0

    def membership(self, joins):
        four = socket.inet_aton(GROUPS[socket.AF_INET]) + socket.inet_aton(self.member.address())
        six = socket.inet_pton(socket.AF_INET6, GROUPS[socket.AF_INET6]) + struct.pack("@I", self.index)
        self.sockets[socket.AF_INET].setsockopt(
            socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP if joins else socket.IP_DROP_MEMBERSHIP, four)
        self.sockets[socket.AF_INET6].setsockopt(
            socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP if joins else socket.IPV6_LEAVE_GROUP, six)
        return self

    def say(self, text):
        for family, group in GROUPS.items():
            self.sockets[family].sendto(f"{text} {family.name}".encode(), (group, PORT))

    def listen(self):
        """Takes what has come; returns how often each text was heard so far."""
        for s in self.sockets.values():
            for text, _ in self._take(s):
                self.heard[text.decode()] += 1
        for packet, (_, _, kind, *_) in self._take(self.eye):
            if kind != OUTGOING and PORT.to_bytes(2, "big") in (packet[22:24], packet[42:44]):
                self.given += 1
        return self.heard

    @staticmethod
    def _take(s):
        while True:
            try:
                yield s.recvfrom(2048)
            except BlockingIOError:
                return

    def close(self):
        for s in (self.eye, *self.sockets.values()):
            s.close()


def both(texts):
    return {f"{text} {family.name}" for text in texts for family in GROUPS}


@pytest.fixture
def listeners(fleet):
    """Eight members on a network; the last of them wants no multicasts."""
    fleet.lab.lan(9)
    seed = fleet.seed("h1")
    members = [fleet.join(f"h{i}", seed, options=["--no-multicast"] if i == 9 else []) for i in range(2, 10)]
    listeners = [Listener(member.wait_ready()) for member in members]
    until("links", lambda: all(member.has_neighbours(7) for member in members), 30)
    yield listeners
    for listener in listeners:
        listener.close()


def stream(sender, texts, pause=0.02):
    for text in texts:
        sender.say(text)
        time.sleep(pause)


def test_a_stream_reaches_its_three_receivers_and_no_other_device(listeners):
    sender, *others, quiet = listeners
    receivers, idle = others[:3], others[3:]
    for listener in (*receivers, quiet):
        listener.membership(joins=True)
    time.sleep(1)
    texts = range(100)
    stream(sender, texts)
    until("all is heard", lambda: all(set(receiver.listen()) >= both(texts) for receiver in receivers), 5)
    time.sleep(0.5)
    for receiver in receivers:
        assert set(receiver.listen().values()) == {1} and set(receiver.heard) == both(texts)
    for listener in (*idle, quiet):
        listener.listen()
        assert not listener.given and not listener.heard, listener.member


def test_who_joins_and_who_leaves_is_noticed_soon(listeners):
    sender, first, second, third, *_ = listeners
    first.membership(joins=True), second.membership(joins=True)
    time.sleep(1)
    stream(sender, ["a", "b"])
    until("both hear", lambda: all(set(there.listen()) == both("ab") for there in (first, second)), 5)
    third.membership(joins=True)
    until("the newcomer hears", lambda: sender.say("c") or third.listen(), 2)
    second.membership(joins=False)

    def is_quiet():
        second.listen()
        before = second.given
        stream(sender, "def", pause=0.1)
        second.listen()
        return second.given == before
    until("who has left is given nothing", is_quiet, 5)
    until("the others still hear", lambda: both("f") <= set(first.listen()) & set(third.listen()), 5)
