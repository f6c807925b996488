#!/usr/bin/env python3
"""UDP as QUIC sends it: many datagrams of one size with one system call, counted where they arrive.

    datagrams.py receive ADDRESS PORT SIZE          # until its standard input ends and nothing comes any more
    datagrams.py send ADDRESS PORT SIZE BATCH SECONDS RATE

The sender hands the kernel BATCH datagrams at a time (UDP_SEGMENT), the receiver takes as many as the kernel has
joined (UDP_GRO). RATE is in bit/s of payload, 0 means as fast as it goes. Where an interface cannot do that, the
sender goes on with one datagram a call, and says so. Each prints one line of JSON.

As a library, `udp_batches` runs both on two hosts of a netlab."""
import errno
import json
import os
import select
import socket
import subprocess
import sys
import time

SO_RCVBUFFORCE, UDP_SEGMENT, UDP_GRO = 33, 103, 104
ROOM = 32 << 20         # bytes that wait at the receiver, so that it may pause for some ms
PORT = 5301
SILENCE = 0.3           # s without a datagram, after the sender has ended: what is on its way has come or is lost


def receive(address, port, size):
    """Counts the bytes that come, all in datagrams of one size."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, ROOM)
        s.setsockopt(socket.IPPROTO_UDP, UDP_GRO, 1)
        s.bind((address, port))
        s.settimeout(SILENCE)
        print("ready", flush=True)
        buffer = bytearray(1 << 16)
        received = calls = first = last = 0
        while True:
            try:
                received += s.recv_into(buffer)
            except TimeoutError:
                if select.select([sys.stdin], [], [], 0)[0]:
                    break
                continue
            last = time.monotonic()
            first = first or last
            calls += 1
    return {"received": received // size, "calls": calls, "seconds": last - first}


def send(address, port, size, batch, seconds, rate):
    """Sends for so many seconds; what it sends is random, so that nobody can compress it."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect((address, port))
        if batch > 1:
            s.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, size)
        load = os.urandom(size) * batch
        interval = batch * size * 8 / rate if rate else 0
        sent, segments = 0, batch
        start = due = time.monotonic()
        end = start + seconds
        while (now := time.monotonic()) < end:
            if due > now:
                time.sleep(due - now)
            try:
                s.send(load)
                sent += segments
            except OSError as problem:
                if problem.errno in (errno.EIO, errno.EINVAL) and segments > 1:
                    s.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 0)
                    load, interval, segments = load[:size], interval / batch, 1
                elif problem.errno not in (errno.ENOBUFS, errno.EAGAIN):
                    raise
            due += interval
        return {"sent": sent, "seconds": time.monotonic() - start, "batch": segments}


def udp_batches(source, destination, address, size, batch, seconds, rate=0):
    """Datagrams from one host to another: (bit/s that arrived, percent lost, datagrams a call of the sender)."""
    def run(host, *args, **options):
        argv = [sys.executable, "-S", os.path.abspath(__file__), *args]
        return host.popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)

    def result(process, limit):
        out, problem = process.communicate(timeout=limit)
        if process.returncode:
            raise RuntimeError(f"datagrams: {problem.strip()}")
        return json.loads(out.splitlines()[-1])
    receiver = run(destination, "receive", address, PORT, size, stdin=subprocess.PIPE)
    if receiver.stdout.readline().strip() != "ready":
        raise RuntimeError(f"datagrams: {receiver.stderr.read().strip()}")
    sent = result(run(source, "send", address, PORT, size, batch, seconds, round(rate)), seconds + 10)
    arrived = result(receiver, 20)      # this also closes its input
    took = max(sent["seconds"], arrived["seconds"])
    lost = 100 * (1 - arrived["received"] / sent["sent"]) if sent["sent"] else 100.0
    return arrived["received"] * size * 8 / took, max(0.0, lost), sent["batch"]


def main():
    what, address, *numbers = sys.argv[1:]
    port, size, *more = [float(n) if n.count(".") else int(n) for n in numbers]
    result = receive(address, port, size) if what == "receive" else send(address, port, size, *more)
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
