"""Programs on members' machines that say something to all, or to a group, and count what they hear."""
import collections
import ipaddress
import socket
import struct
import time

from waiting import until

PORT = 9099
GROUP, GROUP6 = "239.77.41.7", "ff15::7741"
ETH_P_ALL, OUTGOING, UDP = 3, 4, 17
SO_RCVBUFFORCE, ROOM = 33, 4 << 20


class Ear:
    """Hears what comes to a member: broadcasts, and the groups that it has joined, IPv4 and IPv6."""

    def __init__(self, member):
        self.device, self.address, self.address6 = member.interface(), member.address(), member.address6()
        families = socket.AF_INET, socket.AF_INET6
        self.sockets = [member.host.socket(family, socket.SOCK_DGRAM) for family in families]
        self.index = int(member.host.run(["cat", f"/sys/class/net/{self.device}/ifindex"]))
        four, six = self.sockets
        for s in self.sockets:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self.device.encode())
            s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, ROOM)
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
                       struct.pack("@I", self.index))
        six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, self.index)
        six.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
        self.heard = collections.Counter()

    def say(self, text, destination, port=PORT):
        """Speaks from the member's own address, also where the kernel would choose the device's link-local one."""
        four, six = self.sockets
        if ipaddress.ip_address(destination).version == 4:
            return four.sendto(text.encode(), (destination, port))
        source = socket.inet_pton(socket.AF_INET6, self.address6) + struct.pack("@I", self.index)
        return six.sendmsg([text.encode()], [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, source)], 0,
                           (destination, port))

    def listen(self):
        """Takes what has come; returns how often each text was heard so far."""
        for s in self.sockets:
            for text, _ in _arrived(s):
                self.heard[text.decode()] += 1
        return self.heard

    def close(self):
        for s in self.sockets:
            s.close()


class Eye:
    """Sees each UDP packet that a member's device is given, for whomever it may be."""

    def __init__(self, member):
        self.socket = member.host.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, ROOM)
        self.socket.bind((member.interface(), ETH_P_ALL))
        self.socket.setblocking(False)
        self.seen = collections.Counter()

    def look(self):
        """Takes what has come; returns how often each text was seen so far."""
        for packet, (_, _, kind, *_) in _arrived(self.socket):
            protocol, text = (packet[9], packet[28:]) if packet[0] >> 4 == 4 else (packet[6], packet[48:])
            if kind != OUTGOING and protocol == UDP:
                self.seen[text.decode(errors="replace")] += 1
        return self.seen

    def close(self):
        self.socket.close()


def _arrived(s):
    while True:
        try:
            yield s.recvfrom(2048)
        except BlockingIOError:
            return


def heard_once(ears, texts, limit=5):
    """Waits until all ears have heard all texts, and a moment longer for second copies; returns what was
    not heard exactly once."""
    def missing():
        return {ear.address: len(set(texts) - set(ear.listen())) for ear in ears if set(texts) - set(ear.heard)}
    until("all hear all", lambda: not missing(), limit, detail=lambda: f"texts missed by each: {missing()}")
    time.sleep(0.5)
    return {(ear.address, text): ear.listen()[text] for ear in ears for text in texts if ear.heard[text] != 1}
