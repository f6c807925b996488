"""Traffic through a network, and what became of it: pings, transfers, throughput."""
import collections
import hashlib
import json
import os
import re
import signal
import socket
import struct
import subprocess
import threading
import time

from netlab import stop
from waiting import until

REPLY = re.compile(r"^\[(?P<at>[\d.]+)\] .*icmp_seq=(?P<seq>\d+) .*time=(?P<ms>[\d.]+)", re.M)
SENT = re.compile(r"(\d+) packets transmitted")


def ping(host, address, count=3, interval=0.1, limit=3):
    """The system's ping, all of it; returns how many distinct replies came."""
    out = host.run(["ping", "-n", "-D", "-c", count, "-i", interval, "-W", limit, address],
                   check=False, timeout=count * interval + limit + 10)
    return len({m["seq"] for m in REPLY.finditer(out)})


def round_trips(host, address, count, interval):
    """Sorted round-trip times of a series of pings, in ms."""
    out = host.run(["ping", "-n", "-D", "-c", count, "-i", interval, "-W", 1, address],
                   check=False, timeout=count * interval + 20)
    return sorted(float(m["ms"]) for m in REPLY.finditer(out))


def percentile(ordered, share):
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Flow:
    """A ping that runs beside the test, and tells afterwards what was lost or came twice.

    `with Flow(host, address) as flow: ...`; it is stopped at the end of the block."""

    def __init__(self, host, address, interval=0.1, size=56):
        self.what, self.interval = f"ping from {host.name} to {address}", interval
        self.read, write = os.pipe()
        self.process = host.popen(["ping", "-n", "-D", "-i", interval, "-s", size, address], stdout=write,
                                  stderr=subprocess.STDOUT)
        os.close(write)
        self.text, self.lock = "", threading.Lock()
        self.reader = threading.Thread(target=self._collect, daemon=True)
        self.reader.start()

    def _collect(self):
        with os.fdopen(self.read, errors="replace") as lines:
            for line in lines:
                with self.lock:
                    self.text += line

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)     # it prints its summary
            try:
                self.process.wait(3)
            except subprocess.TimeoutExpired:
                stop([self.process])
        self.reader.join(3)

    def replies(self):
        """(Unix time, sequence number) of every reply so far."""
        with self.lock:
            return [(float(m["at"]), int(m["seq"])) for m in REPLY.finditer(self.text)]

    def wait_reply(self, since, limit):
        """Wait for a reply after a moment in Unix time; returns how many seconds later it came."""
        def later():
            return next(([at - since] for at, _ in self.replies() if at > since), None)
        return until(f"a reply to the {self.what}", later, limit, every=0.02)[0]

    def gap(self, since=0):
        """The longest time between two replies after a moment in Unix time, in seconds."""
        return longest_gap([at for at, _ in self.replies()], since)

    @property
    def sent(self):
        return int(SENT.search(self.text).group(1))

    @property
    def lost(self):
        """Sequence numbers without a reply. After the last reply, what was sent in the last half second
        may still have been on its way."""
        seen = {seq for _, seq in self.replies()}
        under_way = self.sent - max(1, round(0.5 / self.interval))
        return sorted(set(range(1, 1 + max(under_way, max(seen, default=0)))) - seen)

    @property
    def doubled(self):
        seen = collections.Counter(seq for _, seq in self.replies())
        return sorted(seq for seq, times in seen.items() if times > 1)


def first_reply(host, address, limit, every=0.005):
    """Ask by ICMP every few ms until something answers; returns the moment (monotonic), or None.

    Fine enough for measuring a connection time, and cheap: no process per question."""
    icmp = host.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    icmp.settimeout(every)
    ident = os.getpid() & 0xFFFF
    end = time.monotonic() + limit
    with icmp:
        for seq in range(1, 1 << 16):
            if time.monotonic() > end:
                return None
            try:
                icmp.sendto(_echo_request(ident, seq), (address, 0))
                if _is_echo_reply(icmp.recv(2048), ident):
                    return time.monotonic()
            except TimeoutError:
                pass
            except OSError:
                time.sleep(every)               # no route yet
    return None


def _echo_request(ident, seq):
    head = struct.pack("!BBHHH", 8, 0, 0, ident, seq)
    total = sum(struct.unpack("!4H", head))
    return head[:2] + struct.pack("!H", ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF) + head[4:]


def _is_echo_reply(packet, ident):
    start = (packet[0] & 15) * 4
    return packet[start] == 0 and struct.unpack_from("!H", packet, start + 4)[0] == ident


class Transfer:
    """Random bytes over one TCP connection, with a checksum taken at both ends. With `port` and `through` it is
    made to another address, from where it is led to the destination's port."""

    CHUNK = 1 << 18

    def __init__(self, source, destination, address, size, limit=90, port=0, through=None):
        self.size, self.limit = size, limit
        listener = self._socket(destination, address)
        listener.bind((address, port))
        listener.listen()
        receiver = threading.Thread(target=self._receive, args=(listener,), daemon=True)
        self.received, self.received_bytes, self.trouble = None, 0, None
        start = time.monotonic()
        receiver.start()
        self.sent = self._send(self._socket(source, address), (through or address, listener.getsockname()[1]))
        receiver.join(limit)
        self.seconds = time.monotonic() - start
        if self.trouble:
            raise self.trouble

    def _socket(self, host, address):
        s = host.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
        s.settimeout(self.limit)
        return s

    def _send(self, s, to):
        digest, left, end = hashlib.sha256(), self.size, time.monotonic() + self.limit
        with s:
            s.connect(to)
            while left:
                if time.monotonic() > end:
                    raise AssertionError(f"{left} of {self.size} bytes still to send after {self.limit} s")
                chunk = os.urandom(min(self.CHUNK, left))
                s.sendall(chunk)
                digest.update(chunk)
                left -= len(chunk)
        return digest.hexdigest()

    def _receive(self, listener):
        digest = hashlib.sha256()
        try:
            with listener:
                s, _ = listener.accept()
            with s:
                s.settimeout(self.limit)
                while chunk := s.recv(self.CHUNK):
                    digest.update(chunk)
                    self.received_bytes += len(chunk)
            self.received = digest.hexdigest()
        except OSError as error:
            self.trouble = error


def paced(rate, count):
    """The numbers from 0 on, `rate` of them in a second: the pace at which a program sends."""
    start = time.monotonic()
    for n in range(count):
        time.sleep(max(0, start + n / rate - time.monotonic()))
        yield n


def longest_gap(moments, since):
    """The longest pause in a sorted series; one that was on at `since` counts from there."""
    later = [since] * bool(since) + [at for at in moments if at > since]
    return max((b - a for a, b in zip(later, later[1:])), default=float("inf"))


class Stream:
    """One iperf3 TCP connection that runs beside the test, and tells where it paused.

    `with Stream(a, b, address) as stream: ...`; leaving the block ends it. The receiver's progress is
    looked at every 0.1 s, which is as fine as `gap` can be."""

    PROGRESS = re.compile(r"^\[ *\d+\] +[\d.]+-[\d.]+ +sec +([\d.]+) KBytes")

    def __init__(self, source, destination, address, rate="20M"):
        self.arrivals, self.bytes = [], 0          # Unix time of each 0.1 s in which something arrived
        read, write = os.pipe()
        self.server = destination.popen(["iperf3", "-s", "-1", "-B", address, "-i", "0.1", "-f", "K", "--forceflush"],
                                        stdout=write)
        os.close(write)
        self.reader = threading.Thread(target=self._collect, args=(read,), daemon=True)
        self.reader.start()
        until("iperf3's server", lambda: ":5201 " in destination.run(["ss", "-Hltn"]), 5)
        self.client = source.popen(["iperf3", "-c", address, "-t", 3600, "-b", rate, "-l", "8K", "-i", "0"])

    def _collect(self, read):
        with os.fdopen(read, errors="replace") as lines:
            for line in lines:
                progress = self.PROGRESS.match(line)
                if progress and float(progress[1]) and "receiver" not in line:
                    self.arrivals.append(time.time())
                    self.bytes += round(float(progress[1]) * 1024)

    def __enter__(self):
        until("the first bytes of the stream", lambda: self.arrivals, 10)
        return self

    def __exit__(self, *_):
        stop([self.client, self.server], grace=0.5)
        self.reader.join(3)

    def is_alive(self):
        """Whether the connection still stands at both ends."""
        return self.client.poll() is None and self.server.poll() is None

    def wait_bytes(self, since, limit):
        """Wait until something arrives after a moment in Unix time; returns how many seconds later it did."""
        def later():
            return next(([at - since] for at in list(self.arrivals) if at > since), None)
        return until("the stream to go on", later, limit, every=0.05)[0]

    def gap(self, since=0):
        """The longest pause after a moment in Unix time, in seconds."""
        return longest_gap(list(self.arrivals), since)


class Copies(threading.Thread):
    """What one host sends to another by UDP, sent once more by a third one from its own address.

    It is taken where it leaves the first host, so a thief without delay before him is quicker.
    `with Copies(a, b, thief, 7741) as copies: ...`"""

    def __init__(self, source, destination, thief, port):
        super().__init__(daemon=True)
        self.source, self.destination, self.port, self.count, self.running = source, destination, port, 0, True
        self.wire = source.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        self.wire.bind((source.dev, 3))
        self.wire.settimeout(0.1)
        self.mouths = {family: thief.socket(family, socket.SOCK_DGRAM)
                       for family in (socket.AF_INET, socket.AF_INET6)}
        for family, mouth in self.mouths.items():
            mouth.bind((thief.ip if family == socket.AF_INET else thief.ip6, port))

    def run(self):
        while self.running:
            try:
                frame = self.wire.recv(65535)
            except TimeoutError:
                continue
            payload, family, to = self._stolen(frame)
            if payload:
                self.mouths[family].sendto(payload, (to, self.port))
                self.count += 1

    def _stolen(self, frame):
        """The payload, and where it goes; nothing if it is not what is wanted."""
        kind, ip = frame[12:14], frame[14:]
        if kind == b"\x08\x00" and ip[9] == 17:
            ends, family = (ip[12:16], ip[16:20], ip[20:]), socket.AF_INET
            addresses = self.source.ip, self.destination.ip
        elif kind == b"\x86\xdd" and ip[6] == 17:
            ends, family = (ip[8:24], ip[24:40], ip[40:]), socket.AF_INET6
            addresses = self.source.ip6, self.destination.ip6
        else:
            return None, None, None
        wanted = tuple(socket.inet_pton(family, address) for address in addresses)
        return (ends[2][8:], family, addresses[1]) if ends[:2] == wanted else (None, None, None)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.running = False
        self.join(1)
        for s in (self.wire, *self.mouths.values()):
            s.close()


def throughput(source, destination, address, seconds=3, via=None):
    """TCP goodput by iperf3, in bits per second as the receiver saw it.

    `via` is an address that leads to the destination's `address`, if it is not that itself."""
    end = iperf3(source, destination, address, via or address, ["-t", seconds])
    return end["sum_received"]["bits_per_second"]


def udp_throughput(source, destination, address, seconds=3, via=None, top=1000e6):
    """UDP goodput in bits per second, datagrams of 1,200 bytes: at the first rate of which less than 5 %
    are lost, from `top` downwards by a fifth each time."""
    rate = top
    while rate > 1e6:
        options = ["-t", seconds, "-u", "-l", 1200, "-b", round(rate)]
        end = iperf3(source, destination, address, via or address, options)
        if end["sum"]["lost_percent"] < 5:
            return end["sum_received"]["bits_per_second"]
        rate *= 0.8
    return 0


def iperf3(source, destination, address, target, options):
    """One run of iperf3 towards a server at `address`; returns what it says of its end."""
    server = destination.popen(["iperf3", "-s", "-1", "-B", address])
    try:
        def attempt():
            out = source.run(["iperf3", "-c", target, "-J", *options], check=False, timeout=60)
            result = json.loads(out or "{}")
            if "refused" in result.get("error", ""):
                return None                     # the server is not up yet
            assert "error" not in result and result.get("end"), f"iperf3: {result.get('error', out)}"
            return result["end"]
        return until("iperf3's server", attempt, 10)
    finally:
        stop([server], grace=0.5)
