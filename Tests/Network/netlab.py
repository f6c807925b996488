#!/usr/bin/env python3
"""Small networks on one machine, made of network namespaces.

Everything lives in namespaces named netlab-<owner's pid>-<serial>-<host> that are not
connected to the machine's own interfaces, so a test can have firewalls, NATs and lost
packets without anybody else noticing. They vanish when the owner ends, also after Ctrl-C;
what a killed owner left behind is removed by the next lab. Needs root, iproute2, nftables
and ethtool.

As a library:

    with Lab() as lab:
        lab.nat(public=1, sites=["symmetric:1", "double:2"])
        lab["p1"].run(["ping", "-c1", lab["s1r"].ip])
        process = lab["s1h1"].popen(["some-daemon"])      # stopped together with the lab

As a command (see --help):

    netlab.py pair                              # prints the hosts, waits for Ctrl-C
    netlab.py lan 4 --loss all=1 -- ./program   # runs a program, then cleans up
    netlab.py nat --public 1 --site eim:1 --site symmetric+ipv6:2 --site ipv6-only
    netlab.py selftest                          # shows what each kind of site does
    netlab.py clean                             # removes what killed owners left behind

The program after `--` finds NETLAB_JSON (all hosts) and NETLAB_NS_<HOST>, NETLAB_IP_<HOST>
and NETLAB_IP6_<HOST> in its environment; `ip netns exec $NETLAB_NS_A ...` runs something
on a host.

Addresses: 198.51.100.0/24 and 2001:db8::/64 are the "internet", 192.168.k.0/24 lies behind
NAT k, 100.64.k.0/24 between the two routers of `double`. What is behind a NAT has IPv4 only,
unless the kind of its site ends in `+ipv6`: then its hosts have addresses of 2001:db8:k::/64
as well, which the internet routes to them.

Kind of NAT       made with                                       mapping / filtering
none              a plain router                                  none / none
eim               masquerade and a learned map of ports (120 s)   endpoint-independent / the same
port-restricted   masquerade, which keeps a free port             endpoint-independent / address and port
symmetric         masquerade fully-random                         a new port each / address and port
udp-blocked       port-restricted, every UDP packet dropped       TCP outwards only
double            port-restricted behind a carrier's              as port-restricted, twice

Kind of site      IPv4                  IPv6
KIND              the NAT above         none
KIND+ipv6         the NAT above         global addresses behind a stateful firewall: outwards is free,
                                        inwards only answers; `none` has no firewall, and
                                        `udp-blocked` drops UDP here, too
ipv6-only         none at all           as above

Where it differs from life: `eim` goes wrong when two inside hosts use one source port at
the same time, and treats TCP as port-restricted does; no NAT hairpins; routers drop what
nobody asked for without an answer; loss happens on arrival, at both ends of a cable;
`--delay` is a Python thread that carries frames late (there need not be a netem in the
kernel), good for latency and NATs up to some 10 000 packets/s, not for throughput.
"""
import argparse
import atexit
import collections
import ctypes
import itertools
import json
import os
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

NAT_KINDS = ("none", "eim", "port-restricted", "symmetric", "udp-blocked", "double")
IPV6, IPV6_ONLY = "+ipv6", "ipv6-only"
NETLINK_NETFILTER, CT_DELETE, NLM_F_REQUEST_ACK = 12, 0x102, 5
PREFIX = "netlab"
CLONE_NEWNET = 0x40000000
SO_RCVBUFFORCE, SOL_PACKET, PACKET_IGNORE_OUTGOING, ETH_P_ALL = 33, 263, 23, 3

_libc = ctypes.CDLL(None, use_errno=True)
_serial = itertools.count()
_open_labs = []          # what is still to be closed at exit


def sh(args, check=True, **options):
    """Run a command given as a list; return what it printed."""
    if "input" not in options:
        options.setdefault("stdin", subprocess.DEVNULL)
    done = subprocess.run([str(a) for a in args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, **options)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(map(str, args))}: exit {done.returncode}: {done.stderr.strip()}")
    return done.stdout


class inside:
    """Context manager: the calling thread works in a host's namespace."""

    def __init__(self, ns):
        self.ns = ns

    def __enter__(self):
        self.home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{self.ns}", os.O_RDONLY)
        try:
            self._enter(there)
        finally:
            os.close(there)

    def __exit__(self, *_):
        self._enter(self.home)
        os.close(self.home)

    def _enter(self, fd):
        if _libc.setns(fd, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"setns to {self.ns}")


class Host:
    """One namespace. `ip` and `ip6` are its main addresses, on the interface `dev`."""

    def __init__(self, lab, name, role):
        self.lab, self.name, self.role = lab, name, role
        self.ns = lab.prefix + name
        self.ip, self.ip6, self.dev = None, None, "eth0"
        self.peer = None            # (Host, interface) at the other end of the cable

    def argv(self, args):
        return ["ip", "netns", "exec", self.ns] + [str(a) for a in args]

    def run(self, args, check=True, **options):
        """Run a command here, wait for it, return what it printed."""
        return sh(self.argv(args), check=check, **options)

    def popen(self, args, **options):
        """Start a program here; it is stopped with the lab.

        `ip netns exec` replaces itself, so .pid is the program's own."""
        for stream in ("stdin", "stdout", "stderr"):
            options.setdefault(stream, subprocess.DEVNULL)
        process = subprocess.Popen(self.argv(args), start_new_session=True, **options)
        self.lab.processes.append(process)
        return process

    def socket(self, *args):
        """A Python socket that lives in this namespace, whoever uses it."""
        with inside(self.ns):
            return socket.socket(*args)

    def ip_command(self, *args):
        """`ip ...` here, without the cost of entering the namespace first."""
        return sh(["ip", "-n", self.ns, *args])

    def address(self, address, dev="eth0"):
        """Give an interface an address that may be used at once."""
        self.ip_command("addr", "add", address, "dev", dev, *(["nodad"] if ":" in address else []))

    def setting(self, name, value):
        """Write a kernel setting such as net/ipv4/ip_forward."""
        with inside(self.ns), open(f"/proc/sys/{name}", "w") as file:
            file.write(str(value))

    def nft(self, rules):
        self.run(["nft", "-f", "-"], input=rules)

    def forbid(self, a, b):
        """A firewall on this router: nothing passes between the hosts a and b any more."""
        self._between("firewall", a, b, "drop")

    def block_udp(self, host):
        """A firewall on this router: no UDP from a host or to it any more."""
        families = [(kind, ip) for kind, ip in (("ip", host.ip), ("ip6", host.ip6)) if ip]
        self._filter("firewall", [f"{kind} {way} {ip} meta l4proto udp drop"
                                  for kind, ip in families for way in ("saddr", "daddr")])

    def permit(self):
        """Take the firewall of `forbid` or `block_udp` away again."""
        self.nft("delete table inet firewall\n")

    def watch(self, a, b):
        """Count on this router what passes directly between a and b."""
        self._between("watch", a, b, "counter")

    def watched(self):
        """How many packets `watch` has counted so far."""
        rules = json.loads(self.run(["nft", "-j", "list", "table", "inet", "watch"]))["nftables"]
        steps = [step for entry in rules if "rule" in entry for step in entry["rule"]["expr"]]
        return sum(step["counter"]["packets"] for step in steps if "counter" in step)

    def _between(self, table, a, b, action):
        families = [(kind, one, two) for kind, one, two in (("ip", a.ip, b.ip), ("ip6", a.ip6, b.ip6)) if one and two]
        self._filter(table, [f"{kind} saddr {x} {kind} daddr {y} {action}"
                             for kind, one, two in families for x, y in ((one, two), (two, one))])

    def _filter(self, table, rules):
        """Rules for what this router forwards."""
        chain = "\n".join(["type filter hook forward priority 0;", *rules])
        self.nft(f"table inet {table} {{\n chain between {{\n{chain}\n }}\n}}\n")

    def lead(self, port, there):
        """A port of this host (TCP and UDP) leads to the same port of another one, by the kernel's NAT."""
        _router(self)
        self.nft(f"""table ip lead {{
  chain prerouting {{ type nat hook prerouting priority -100;
    ip daddr {self.ip} meta l4proto {{ tcp, udp }} th dport {port} dnat to {there.ip}
  }}
  chain postrouting {{ type nat hook postrouting priority 100; ip daddr {there.ip} masquerade
  }}
}}
""")

    def forget_connections(self):
        """Empty this router's connection tracking, NAT mappings included, as `conntrack -F` does."""
        with self.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as kernel:
            kernel.send(struct.pack("=IHHIIBBH", 20, CT_DELETE, NLM_F_REQUEST_ACK, 1, 0, 0, 0, 0))
            error = struct.unpack_from("=i", kernel.recv(4096), 16)[0]
        if error:
            raise OSError(-error, f"connection tracking of {self.name}: {os.strerror(-error)}")

    def offload(self, dev, **flags):
        """ethtool -K; flags use '_' for '-', e.g. tx_udp_segmentation='off'."""
        args = [x for key, value in flags.items() for x in (key.replace("_", "-"), value)]
        self.run(["ethtool", "-K", dev] + args, check=False)

    def prefix_length(self, address):
        """Of one of the addresses on eth0."""
        return next(a["prefixlen"] for link in json.loads(self.ip_command("-j", "addr", "show", "dev", "eth0"))
                    for a in link["addr_info"] if a["local"] == address)

    def describe(self):
        return {"ns": self.ns, "ip": self.ip, "ip6": self.ip6, "role": self.role}


class Lab:
    """A set of namespaces that disappears with close(), `with`, exit or Ctrl-C."""

    def __init__(self, mtu=1500):
        if not _open_labs:
            clean()
        self.prefix = f"{PREFIX}-{os.getpid()}-{next(_serial)}-"
        self.mtu, self.hosts, self.processes, self.shims = mtu, {}, [], []
        self._port = itertools.count()
        _open_labs.append(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __getitem__(self, name):
        return self.hosts[name]

    def close(self):
        if self not in _open_labs:
            return
        with uninterrupted():
            for shim in self.shims:
                shim.stop()
            stop(self.processes)
            for host in self.hosts.values():
                remove_namespace(host.ns)       # takes interfaces, queues and rules with it
            self.hosts.clear()
            _open_labs.remove(self)

    # ---- building blocks ----------------------------------------------------

    def host(self, name, role="host"):
        host = Host(self, name, role)
        sh(["ip", "netns", "add", host.ns])
        self.hosts[name] = host
        for scope in ("all", "default"):
            host.setting(f"net/ipv6/conf/{scope}/accept_dad", 0)
            host.setting(f"net/ipv6/conf/{scope}/accept_ra", 0)
        host.ip_command("link", "set", "lo", "up")
        return host

    def veth(self, a, a_dev, b, b_dev):
        sh(["ip", "link", "add", a_dev, "mtu", self.mtu, "netns", a.ns, "type", "veth",
            "peer", "name", b_dev, "mtu", self.mtu, "netns", b.ns])
        a.ip_command("link", "set", a_dev, "up")
        b.ip_command("link", "set", b_dev, "up")

    def _attach(self, host, hub, delay=0, jitter=0):
        """Cable from a host's eth0 to a free port of `hub`; returns the hub's interface."""
        port = f"v{next(self._port)}"
        if delay or jitter:
            middle = self.host(f"{host.name}-delay", "shim")
            self.veth(host, "eth0", middle, "d0")
            self.veth(middle, "d1", hub, port)
            for end, dev in ((host, "eth0"), (hub, port)):
                end.offload(dev, tx="off", tso="off", gso="off", tx_udp_segmentation="off")
            middle.setting("net/ipv6/conf/all/disable_ipv6", 1)
            self.shims.append(DelayShim(middle, "d0", "d1", delay, jitter))
        else:
            self.veth(host, "eth0", hub, port)
        host.dev, host.peer = "eth0", (hub, port)
        return port

    def _bridge(self, host, name):
        host.ip_command("link", "add", name, "mtu", self.mtu, "type", "bridge")
        host.ip_command("link", "set", name, "up")

    def _number(self, host, i, ipv4=True):
        """The i-th pair of addresses on a shared segment."""
        if ipv4:
            host.ip = f"198.51.100.{i}"
            host.address(f"{host.ip}/24")
        host.ip6 = f"2001:db8::{i}"
        host.address(f"{host.ip6}/64")

    # ---- topologies -----------------------------------------------------------

    def pair(self, delay=0, jitter=0, ipv4=True):
        """Two hosts a (198.51.100.1, 2001:db8::1) and b (.2, ::2) on one cable."""
        a, b = self.host("a"), self.host("b")
        if delay or jitter:
            port = self._attach(a, b, delay, jitter)
            b.ip_command("link", "set", port, "down")
            b.ip_command("link", "set", port, "name", "eth0", "up")
        else:
            self.veth(a, "eth0", b, "eth0")
        a.peer, b.peer = (b, "eth0"), (a, "eth0")
        for i, host in enumerate((a, b), 1):
            self._number(host, i, ipv4)
        return self

    def lan(self, n, delay=0, jitter=0):
        """n hosts h1..hn (198.51.100.i, 2001:db8::i) on a bridge in the namespace `switch`.

        `delay` is in ms per cable and direction, so it counts twice from host to host."""
        switch = self.host("switch", "switch")
        self._bridge(switch, "br0")
        for i in range(1, n + 1):
            host = self.host(f"h{i}")
            port = self._attach(host, switch, delay, jitter)
            switch.ip_command("link", "set", port, "master", "br0")
            self._number(host, i)
        return self

    def nat(self, public=2, sites=(), delay=0, jitter=0):
        """An internet with `public` public hosts and sites behind NATs.

        Public hosts: p1.. (198.51.100.i, 2001:db8::i). Site k, written "kind:hosts", has
        the router s<k>r (198.51.100.(100+k)) and hosts s<k>h1.. (192.168.k.x); "double" has
        a carrier's router s<k>c in front of it (100.64.k.0/24 between). With "kind+ipv6:hosts"
        the hosts have 2001:db8:k::x, too, and with "ipv6-only:hosts" nothing else.

        The internet is a router with a cable for each customer and no shared segment, so
        that broadcast and multicast do not cross it, as in life."""
        internet = self.host("internet", "internet")
        _router(internet)
        internet.setting("net/ipv6/conf/all/forwarding", 1)
        for i in range(1, public + 1):
            self._customer(internet, self.host(f"p{i}"), f"198.51.100.{i}", f"2001:db8::{i}", delay, jitter)
        for k, site in enumerate(sites, 1):
            kind, _, count = site.partition(":")
            nat, ipv6 = _site_kind(kind)
            router = self._site_router(internet, k, nat, ipv6, delay, jitter)
            for i in range(1, int(count or 1) + 1):
                self._inside_host(router, k, i, nat, ipv6)
        return self

    def public_host(self, i):
        """One more public host p<i> of `nat`, on a cable without delay."""
        host = self.host(f"p{i}")
        self._customer(self["internet"], host, f"198.51.100.{i}", f"2001:db8::{i}")
        return host

    def _customer(self, internet, host, ip, ip6=None, delay=0, jitter=0):
        port = self._attach(host, internet, delay, jitter)
        internet.address("198.51.100.254/32", port)
        internet.address("fe80::fe/64", port)
        self._customer_addresses(internet, host, port, ip, ip6)

    @staticmethod
    def _customer_addresses(internet, host, port, ip, ip6):
        """Give a customer its addresses, and both sides the routes."""
        host.ip, host.ip6 = ip, ip6
        if ip:
            host.address(f"{ip}/32")
            host.ip_command("route", "add", "default", "via", "198.51.100.254", "dev", "eth0", "onlink")
            internet.ip_command("route", "add", f"{ip}/32", "dev", port)
        if ip6:
            host.address(f"{ip6}/128")
            host.ip_command("-6", "route", "replace", "default", "via", "fe80::fe", "dev", "eth0")
            internet.ip_command("-6", "route", "add", f"{ip6}/128", "dev", port)

    def _site_router(self, internet, k, kind, ipv6, delay, jitter):
        wan = f"198.51.100.{100 + k}" if kind else None
        router = self.host(f"s{k}r", f"router/{kind or IPV6_ONLY}")
        router.nat_kind, router.uplinks = "port-restricted" if kind == "double" else kind, [router]
        if kind == "double":
            carrier = self.host(f"s{k}c", "router/carrier")
            _router(carrier)
            carrier.nat_kind, router.uplinks = "port-restricted", [carrier, router]
            self._customer(internet, carrier, wan, None, delay, jitter)
            self.veth(carrier, "lan0", router, "eth0")
            carrier.address(f"100.64.{k}.1/24", "lan0")
            router.ip = f"100.64.{k}.2"
            router.address(f"{router.ip}/24")
            router.ip_command("route", "add", "default", "via", f"100.64.{k}.1")
            carrier.nft(nat_rules("port-restricted", wan))
        else:
            self._customer(internet, router, wan, None, delay, jitter)
        _router(router)
        self._bridge(router, "lan0")
        if kind:
            router.address(f"192.168.{k}.1/24", "lan0")
        if ipv6:
            self._route_prefix(internet, router, k, kind)
        if kind == "none":
            port = router.peer[1]
            internet.ip_command("route", "add", f"192.168.{k}.0/24", "via", wan, "dev", port, "onlink")
        elif kind:
            router.nft(nat_rules(router.nat_kind, router.ip))
        return router

    @staticmethod
    def _route_prefix(internet, router, k, kind):
        """Route a site's global prefix hop by hop from the internet to its router, and back."""
        above, port = internet, router.uplinks[0].peer[1]
        for hop in router.uplinks:
            hop.setting("net/ipv6/conf/all/forwarding", 1)
            hop.address("fe80::1/64", "eth0")
            hop.address("fe80::fe/64", "lan0")
            hop.ip_command("-6", "route", "add", "default", "via", "fe80::fe", "dev", "eth0")
            above.ip_command("-6", "route", "add", f"2001:db8:{k}::/64", "via", "fe80::1", "dev", port)
            above, port = hop, "lan0"
        router.ip_command("-6", "route", "add", f"2001:db8:{k}::/64", "dev", "lan0")
        if kind != "none":
            router.nft(firewall6_rules(kind))

    def _inside_host(self, router, k, i, nat, ipv6):
        host = self.host(f"s{k}h{i}")
        router.ip_command("link", "set", self._attach(host, router), "master", "lan0")
        if nat:
            self._inside_address(host, k, 10 + i)
        if ipv6:
            host.ip6 = f"2001:db8:{k}::{10 + i}"
            host.address(f"{host.ip6}/64")
            host.ip_command("-6", "route", "add", "default", "via", "fe80::fe", "dev", "eth0")

    @staticmethod
    def _inside_address(host, k, x):
        host.ip = f"192.168.{k}.{x}"
        host.address(f"{host.ip}/24")
        host.ip_command("route", "add", "default", "via", f"192.168.{k}.1")

    # ---- what happens to networks -----------------------------------------------

    def reboot_nat(self, k, port=None):
        """The NAT of site k forgets its mappings.

        With `port`, UDP from an inside port 7741 leaves by that one from now on, instead of
        7741: the NAT came back with other ports."""
        for router in self[f"s{k}r"].uplinks:
            router.nft(f"delete table ip nat\n{nat_rules(router.nat_kind, router.ip, port)}")
            router.forget_connections()

    def renumber(self, name, x):
        """A host gets another address: the x-th public one, or 192.168.k.x behind NAT k.

        It keeps none of its old IPv4 or public addresses."""
        host = self[name]
        hub, port = host.peer
        for ip in filter(None, (host.ip, host.ip6)):
            host.ip_command("addr", "del", f"{ip}/{host.prefix_length(ip)}", "dev", "eth0")
        if hub.role == "internet":
            for ip in filter(None, (host.ip, host.ip6)):
                hub.ip_command(*(["-6"] if ":" in ip else []), "route", "del", ip, "dev", port)
            self._customer_addresses(hub, host, port, f"198.51.100.{x}", f"2001:db8::{x}")
        else:
            self._inside_address(host, int(host.ip.split(".")[2]), x)

    def move(self, name, k, x=99):
        """A host of a site goes to site k: its cable is pulled, and it becomes 192.168.k.x there."""
        host, router = self[name], self[f"s{k}r"]
        host.ip_command("link", "del", "eth0")
        router.ip_command("link", "set", self._attach(host, router), "master", "lan0")
        host.ip = host.ip6 = None
        self._inside_address(host, k, x)

    # ---- properties of cables -------------------------------------------------

    def shape(self, name, rate=None, loss=0.0):
        """Limit a host's cable in both directions: rate like '100mbit', loss in percent.

        Segmentation offloads are switched off there, so that one drop is one wire packet
        and not a 64 KB superpacket."""
        host = self.hosts[name]
        if not (rate or loss):
            return
        for end, dev in ((host, host.dev), host.peer):
            end.offload(dev, tso="off", gso="off", tx_udp_segmentation="off")
            if rate:
                end.run(["tc", "qdisc", "replace", "dev", dev, "root", "tbf", "rate", rate,
                         "burst", "64kb", "latency", "50ms"])
            if loss:
                end.nft(f"table netdev loss_{dev} {{\n chain arriving {{\n"
                        f" type filter hook ingress device {dev} priority 0;\n"
                        f" numgen random mod 100000 < {round(loss * 1000)} counter drop\n }}\n}}\n")

    def offloads(self, mode):
        """How all cables treat big sends.

        'on'   the kernel's default: 64 KB superpackets cross uncut, as with a network card
               that does everything in hardware
        'nic'  cut before the cable, joined again by GRO at the receiver
        'off'  cut before the cable and never joined again"""
        if mode == "on":
            return
        for host in [h for h in self.hosts.values() if h.peer]:
            for end, dev in ((host, host.dev), host.peer):
                end.offload(dev, tso="off", gso="off", tx_udp_segmentation="off",
                            gro="on" if mode == "nic" else "off")
                if mode == "nic":
                    end.offload(dev, rx_udp_gro_forwarding="off")

    def describe(self):
        return {name: host.describe() for name, host in self.hosts.items() if host.role != "shim"}


def _router(host):
    host.setting("net/ipv4/ip_forward", 1)
    host.setting("net/ipv4/conf/all/send_redirects", 0)


def _site_kind(text):
    """(kind of NAT or None, has IPv6) of what is written before the colon of a site."""
    if text == IPV6_ONLY:
        return None, True
    nat = text.removesuffix(IPV6)
    if nat not in NAT_KINDS:
        raise ValueError(f"unknown kind of site {text!r}; {IPV6_ONLY}, or one of {', '.join(NAT_KINDS)}, "
                         f"with or without {IPV6}")
    return nat, nat != text


def firewall6_rules(kind):
    """nft rules of an IPv6 router that lets in only what was asked for. There is no translation."""
    return f"""
table ip6 firewall {{
  chain forwarding {{ type filter hook forward priority 0; policy drop;
    {'meta l4proto udp drop' if kind == 'udp-blocked' else ''}
    iifname "lan0" accept
    ct state established,related accept
  }}
  chain inbound {{ type filter hook input priority 0; policy accept; iifname "eth0" ct state new drop;
  }}
}}
"""


def nat_rules(kind, wan, port=None):
    """nft rules of a NAT router whose outside is eth0 and whose inside is lan0.

    Packets to the router itself that nobody asked for are dropped without an answer, as most
    home routers do; accepted, they would also leave a conntrack entry that breaks hole punching.

    Linux has no endpoint-independent NAT. `eim` comes near it: masquerade keeps source ports,
    each UDP packet on its way out notes port -> inside host in a map for 120 s, and what
    arrives for a noted port goes to that host whoever sent it.

    `port` is what a UDP source port 7741 becomes, for one inside host that uses it."""
    eim = kind == "eim"
    moved = f'oifname "eth0" udp sport 7741 masquerade to :{port}' if port else ""
    masquerade = "masquerade fully-random" if kind == "symmetric" else "masquerade"
    ports = "map ports { type inet_service : ipv4_addr; flags dynamic,timeout; timeout 120s; size 65535; }"
    return f"""
table ip nat {{
  {ports if eim else ''}
  chain prerouting {{ type nat hook prerouting priority -100;
    {f'iifname "eth0" ip daddr {wan} meta l4proto udp dnat to udp dport map @ports' if eim else ''}
  }}
  chain postrouting {{ type nat hook postrouting priority 100;
    {moved}
    oifname "eth0" {masquerade}
  }}
  chain forwarding {{ type filter hook forward priority 0; policy drop;
    {'iifname "lan0" oifname "eth0" meta l4proto udp update @ports { udp sport : ip saddr }' if eim else ''}
    {'meta l4proto udp drop' if kind == 'udp-blocked' else ''}
    iifname "lan0" accept
    ct state established,related accept
    {'ct status dnat accept' if eim else ''}
  }}
  chain inbound {{ type filter hook input priority 0; policy accept; iifname "eth0" ct state new drop;
  }}
}}
"""


class DelayShim(threading.Thread):
    """Carries Ethernet frames between two interfaces of a host, `delay` ms late.

    With jitter, frames still keep their order."""

    def __init__(self, host, dev_a, dev_b, delay, jitter=0):
        super().__init__(daemon=True)
        self.delay, self.jitter, self.running = delay / 1000, jitter / 1000, True
        self.sockets = [self._tap(host, dev) for dev in (dev_a, dev_b)]
        self.start()

    @staticmethod
    def _tap(host, dev):
        tap = host.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        tap.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
        tap.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        tap.bind((dev, ETH_P_ALL))
        tap.setblocking(False)
        return tap

    def run(self):
        a, b = self.sockets
        queues = {a: (b, collections.deque()), b: (a, collections.deque())}
        while self.running:
            due = min((queue[0][0] for _, queue in queues.values() if queue), default=None)
            wait = 0.2 if due is None else max(0, due - time.monotonic())
            for tap in select.select(self.sockets, [], [], wait)[0]:
                self._receive(tap, queues[tap][1])
            for out, queue in queues.values():
                self._send_due(out, queue)

    def _receive(self, tap, queue):
        for _ in range(64):
            try:
                frame = tap.recv(65535)
            except OSError:
                return
            at = time.monotonic() + self.delay + random.uniform(0, self.jitter)
            queue.append((max(at, queue[-1][0]) if queue else at, frame))

    @staticmethod
    def _send_due(out, queue):
        now = time.monotonic()
        while queue and queue[0][0] <= now:
            try:
                out.send(queue.popleft()[1])
            except OSError:
                pass                # an interface that is down loses frames, as a cable does

    def stop(self):
        self.running = False
        self.join(1)
        for tap in self.sockets:
            tap.close()


# ---- ending things ------------------------------------------------------------

class uninterrupted:
    """Context manager: Ctrl-C and TERM wait until the work inside is done."""

    def __enter__(self):
        self.old = []
        if threading.current_thread() is threading.main_thread():
            self.old = [(s, signal.signal(s, signal.SIG_IGN)) for s in (signal.SIGINT, signal.SIGTERM)]

    def __exit__(self, *_):
        for number, handler in self.old:
            signal.signal(number, handler)


def _kill(pid, number):
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass


def stop(processes, grace=2.0):
    """Stop programs we started: TERM, wait, then KILL, each by its own pid.

    Asks the kernel and not Popen, whose lock stays taken when Ctrl-C hits it in poll()."""
    running = [p for p in processes if p.returncode is None and not _has_ended(p.pid)]
    for process in running:
        _kill(process.pid, signal.SIGTERM)
    end = time.monotonic() + grace
    while time.monotonic() < end and not all(_has_ended(p.pid) for p in running):
        time.sleep(0.01)
    for process in running:
        if not _has_ended(process.pid):
            _kill(process.pid, signal.SIGKILL)
            _has_ended(process.pid, wait=True)
        process.poll()


def _has_ended(pid, wait=False):
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | (0 if wait else os.WNOHANG)) is not None
    except ChildProcessError:
        return True


def remove_namespace(ns):
    """Delete a namespace and whatever still runs inside it (never ourselves)."""
    for pid in sh(["ip", "netns", "pids", ns], check=False).split():
        if int(pid) != os.getpid():
            _kill(int(pid), signal.SIGKILL)
    sh(["ip", "netns", "del", ns], check=False)


def clean():
    """Remove the namespaces of owners that are gone; returns their names."""
    names = [line.split()[0] for line in sh(["ip", "netns", "list"]).splitlines() if line.strip()]
    left = [name for name in names if _is_orphan(name)]
    for name in left:
        remove_namespace(name)
    return left


def _is_orphan(name):
    part = name.split("-")
    return (part[0] == PREFIX and len(part) > 3 and part[1].isdigit()
            and not os.path.exists(f"/proc/{part[1]}"))


@atexit.register
def _close_all():
    for lab in list(_open_labs):
        lab.close()


def exit_on_signals():
    """TERM and HUP end the program as Ctrl-C does: with everything cleaned up."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda n, _: sys.exit(128 + n))


def obstacle():
    """Why no lab can be built on this machine, or None."""
    if os.geteuid():
        return "network namespaces need root"
    ns = f"{PREFIX}-{os.getpid()}-probe-0"
    made = subprocess.run(["ip", "netns", "add", ns], capture_output=True, text=True)
    if made.returncode:
        return f"this machine gives us no network namespaces ({made.stderr.strip()})"
    remove_namespace(ns)
    return None


# ---- what the NATs do -----------------------------------------------------------

SHOWN_KINDS = tuple(kind + IPV6 for kind in NAT_KINDS) + (IPV6_ONLY,)
Behaviour = collections.namedtuple("Behaviour", "kind family seen_by_p1 seen_by_p2 any_port any_host tcp")


def observe_nats():
    """Find out with plain sockets what each kind of site does to its inside host, by IPv4 and IPv6."""
    with Lab() as lab:
        lab.nat(2, [f"{kind}:1" for kind in SHOWN_KINDS])
        seen = []
        for family, ip in ((4, lambda host: host.ip), (6, lambda host: host.ip6)):
            servers = [udp_socket(lab[name], ip(lab[name]), 7000) for name in ("p1", "p2")]
            other_port = udp_socket(lab["p2"], ip(lab["p2"]), 7001)
            seen += [_observe(lab, k, kind, family, ip, servers, other_port)
                     for k, kind in enumerate(SHOWN_KINDS, 1) if ip(lab[f"s{k}h1"])]
        return seen


def udp_socket(host, ip, port):
    """A bound socket on a host that waits 0.3 s at most."""
    s = host.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((ip, port))
    s.settimeout(0.3)
    return s


def received(s):
    """(payload, (address, port) of the sender) of the next datagram, or (None, None)."""
    try:
        payload, sender = s.recvfrom(99)
        return payload, sender[:2]
    except OSError:
        return (None, None)


def _observe(lab, k, kind, family, ip, servers, other_port):
    host, p1, p2 = (lab[name] for name in (f"s{k}h1", "p1", "p2"))
    client = udp_socket(host, ip(host), 5000)
    client.sendto(b"x", (ip(p1), 7000))
    at1 = received(servers[0])[1]
    any_host = any_port = False
    if at1:
        servers[1].sendto(b"stranger", at1)             # a host that was never contacted
        any_host = received(client)[0] == b"stranger"
    client.sendto(b"x", (ip(p2), 7000))
    at2 = received(servers[1])[1]
    if at2:
        other_port.sendto(b"known host", at2)           # a known host, but another port of it
        any_port = received(client)[0] == b"known host"
    tcp = _connects(host, p1, ip(p1), 8000 + k)
    client.close()
    return Behaviour(kind, family, at1, at2, any_port, any_host, tcp)


def _connects(caller, listener, ip, port):
    """Whether a TCP connection from one host to another opens."""
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    with listener.socket(family, socket.SOCK_STREAM) as ear, caller.socket(family, socket.SOCK_STREAM) as mouth:
        ear.bind((ip, port))
        ear.listen()
        mouth.settimeout(1)
        return mouth.connect_ex((ip, port)) == 0


def selftest():
    row = "{:22}{:6}{:24}{:24}{:14}{:14}{}".format
    print(row("site", "", "seen by p1", "seen by p2", "in: any port", "in: any host", "TCP out"))
    for seen in observe_nats():
        ends = [_shown(seen.seen_by_p1), _shown(seen.seen_by_p2)]
        yes = ["yes" if x else "no" for x in (seen.any_port, seen.any_host, seen.tcp)]
        print(row(seen.kind, f"IPv{seen.family}", *ends, *yes))


def _shown(endpoint):
    return "no" if not endpoint else ("[{}]:{}" if ":" in endpoint[0] else "{}:{}").format(*endpoint)


# ---- the command ------------------------------------------------------------------

def arguments(argv):
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--mtu", type=int, default=1500)
    common.add_argument("--delay", type=float, default=0, help="ms each way per cable")
    common.add_argument("--jitter", type=float, default=0, help="additional random ms, order kept")
    common.add_argument("--rate", action="append", default=[], metavar="HOST=RATE",
                        help="e.g. a=100mbit; HOST may be 'all'")
    common.add_argument("--loss", action="append", default=[], metavar="HOST=PERCENT", help="e.g. all=1")
    common.add_argument("--offload", choices=("on", "nic", "off"), default="on")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = parser.add_subparsers(dest="topology", required=True)
    sub.add_parser("pair", parents=[common]).add_argument("--ipv6-only", action="store_true")
    sub.add_parser("lan", parents=[common]).add_argument("n", type=int)
    nat = sub.add_parser("nat", parents=[common])
    nat.add_argument("--public", type=int, default=2)
    nat.add_argument("--site", action="append", default=[], metavar="KIND:HOSTS",
                     help=f"KIND is {IPV6_ONLY}, or one of {', '.join(NAT_KINDS)}, with or without {IPV6}")
    sub.add_parser("clean", help="remove what killed owners left behind")
    sub.add_parser("selftest", help="show what each kind of site does")
    return parser.parse_args(argv)


def build(lab, args):
    if args.topology == "pair":
        lab.pair(args.delay, args.jitter, ipv4=not args.ipv6_only)
    elif args.topology == "lan":
        lab.lan(args.n, args.delay, args.jitter)
    else:
        lab.nat(args.public, args.site, args.delay, args.jitter)
    lab.offloads(args.offload)
    wanted = collections.defaultdict(dict)
    cabled = [name for name, host in lab.hosts.items() if host.peer]
    if args.topology == "pair":
        cabled = cabled[:1]                     # one cable, shaped at both ends
    for key, cast, items in (("rate", str, args.rate), ("loss", float, args.loss)):
        for name, _, value in (item.partition("=") for item in items):
            for n in cabled if name == "all" else [name]:
                wanted[n][key] = cast(value)
    for name, limits in wanted.items():
        lab.shape(name, **limits)


def environment(lab):
    env = dict(os.environ, NETLAB_JSON=json.dumps(lab.describe()))
    for name, host in lab.hosts.items():
        key = name.replace("-", "_").upper()
        env.update({f"NETLAB_NS_{key}": host.ns, f"NETLAB_IP_{key}": host.ip or "",
                    f"NETLAB_IP6_{key}": host.ip6 or ""})
    return env


def main():
    argv, program = sys.argv[1:], []
    if "--" in argv:
        split = argv.index("--")
        argv, program = argv[:split], argv[split + 1:]
    args = arguments(argv)
    problem = obstacle()
    if problem:
        sys.exit(f"netlab: {problem}")
    exit_on_signals()
    if args.topology == "clean":
        print("\n".join(f"removed {name}" for name in clean()) or "nothing to remove")
        return 0
    if args.topology == "selftest":
        return selftest()
    with Lab(mtu=args.mtu) as lab:
        build(lab, args)
        try:
            if program:
                return subprocess.call(program, env=environment(lab))
            print(json.dumps(lab.describe(), indent=1), "\nCtrl-C removes it.", flush=True)
            signal.pause()
        except KeyboardInterrupt:
            return 130


if __name__ == "__main__":
    sys.exit(main())
