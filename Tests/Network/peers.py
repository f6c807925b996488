"""The VPNs that `make bench` puts beside p2pvpn. What is not installed is left out, and named.

Each with what its package sets by default; its MTU too, unless `mtu=` says otherwise. `Tools/install-peers`
installs them."""
import re
import shutil

from contender import Contender, known
from netlab import sh


@known
class WireGuardGo(Contender):
    """wireguard-go: ChaCha20-Poly1305, MTU 1420."""

    name, programs, package = "wireguard-go", ("wireguard-go", "wg"), "wireguard-go wireguard-tools"

    def begin(self, fleet):
        super().begin(fleet)
        owner = fleet.lab.prefix.split("-")[1]
        self.devices = f"wg{owner}a", f"wg{owner}b"     # of its sockets, too, which namespaces share

    def version(self):
        return sh([self.program, "--version"], check=False).split()[1]

    def setup(self):
        keys = [sh(["wg", "genkey"]).strip() for _ in (0, 1)]
        for i in (0, 1):
            other = sh(["wg", "pubkey"], input=keys[1 - i]).strip()
            self.write(f"{i}.conf", f"[Interface]\nPrivateKey={keys[i]}\nListenPort=51820\n"
                                    f"[Peer]\nPublicKey={other}\nAllowedIPs=10.77.0.0/24\nEndpoint={self.outside[1 - i]}:51820\n")

    def start(self, i):
        self.run(i, self.program, "-f", self.devices[i], WG_PROCESS_FOREGROUND="1")

    def ready(self, i):
        self.again(lambda: self.hosts[i].run(["wg", "setconf", self.devices[i], self.folder / f"{i}.conf"]))
        self.configure(i, self.options.get("mtu", 1420))


@known
class Nebula(Contender):
    """nebula: AES-256-GCM, or cipher=chachapoly; host a is the lighthouse; routines=N, batch=N."""

    name, programs, package = "nebula", ("nebula", "nebula-cert"), "nebula"

    def version(self):
        return sh([self.program, "-version"], check=False).split()[-1]

    def setup(self):
        authority = ("-ca-crt", self.folder / "ca.crt", "-ca-key", self.folder / "ca.key")
        sh(["nebula-cert", "ca", "-name", "bench", "-out-crt", authority[1], "-out-key", authority[3]])
        for i in (0, 1):
            sh(["nebula-cert", "sign", "-name", f"n{i}", "-ip", f"{self.addresses[i]}/24", *authority,
                "-out-crt", self.folder / f"{i}.crt", "-out-key", self.folder / f"{i}.key"])
            self.write(f"{i}.yml", self.configuration(i))

    def configuration(self, i):
        folder, options = self.folder, self.options
        lighthouse = [f'"{self.addresses[0]}"'] if i else []
        return f"""
pki: {{ca: {folder}/ca.crt, cert: {folder}/{i}.crt, key: {folder}/{i}.key}}
static_host_map: {{"{self.addresses[0]}": ["{self.outside[0]}:4242"]}}
lighthouse: {{am_lighthouse: {'false' if i else 'true'}, interval: 60, hosts: [{''.join(lighthouse)}]}}
listen: {{host: 0.0.0.0, port: 4242, batch: {options.get('batch', 64)}}}
cipher: {options.get('cipher', 'aes')}
routines: {options.get('routines', 1)}
punchy: {{punch: true}}
tun: {{dev: {self.devices[i]}, mtu: {options.get('mtu', 1300)}, tx_queue: 500}}
logging: {{level: warning}}
firewall:
  outbound: [{{port: any, proto: any, host: any}}]
  inbound: [{{port: any, proto: any, host: any}}]
"""

    def start(self, i):
        self.run(i, self.program, "-config", self.folder / f"{i}.yml")


@known
class Tinc(Contender):
    """tinc 1.0 in router mode (AES-256-CBC and HMAC-SHA256 in Debian's); cipher=, digest=."""

    name, programs, package, settle = "tinc", ("tincd",), "tinc", 2

    def version(self):
        return sh([self.program, "--version"]).split()[2]

    def setup(self):
        for i in (0, 1):
            self.write(f"{i}/tinc.conf", f"Name=n{i}\nMode=router\nDeviceType=tun\nInterface={self.devices[i]}\n"
                                         f"AddressFamily=ipv4\n{'ConnectTo=n0' if i else ''}\n")
            self.write(f"{i}/tinc-up", self.script_up(i), 0o755)
            ciphers = "".join(f"{k.title()}={self.options[k]}\n" for k in ("cipher", "digest") if k in self.options)
            self.write(f"{i}/hosts/n{i}", f"Address={self.outside[i]}\nSubnet={self.addresses[i]}/32\n{ciphers}")
            sh([self.program, "-c", self.folder / str(i), "-K2048"])
        for i in (0, 1):
            shutil.copy(self.folder / f"{i}/hosts/n{i}", self.folder / f"{1 - i}/hosts/n{i}")

    def start(self, i):
        self.run(i, self.program, "-D", "-c", self.folder / str(i), f"--pidfile={self.folder}/{i}.pid")


@known
class N2n(Contender):
    """n2n: Twofish in version 1, AES in version 3; the supernode runs on host a."""

    name, programs, package, settle = "n2n", ("edge", "supernode"), "n2n", 5

    def version(self):
        found = re.search(r"v\.? ?(\d[\d.]*\d)", sh([self.program, "-h"], check=False))
        return found[1] if found else ""

    def start(self, i):
        if self.version().startswith("1"):
            port, shared = "-l", ["-a", self.addresses[i], "-s", "255.255.255.0"]
        else:
            port, shared = "-p", ["-f", "-a", f"static:{self.addresses[i]}/24", "-A3"]
        if i == 0:
            self.run(0, "supernode", port, "7654", *(["-f"] if port == "-p" else []))
        self.run(i, self.program, "-d", self.devices[i], *shared, "-c", "bench", "-k", "bench",
                 "-l", f"{self.outside[0]}:7654", *(["-M", self.options["mtu"]] if "mtu" in self.options else []))


@known
class OpenVpn(Contender):
    """OpenVPN, one client by TLS and UDP, all of it in user space: AES-256-GCM, or cipher=."""

    name, programs, package = "openvpn", ("openvpn", "openssl"), "openvpn openssl"

    def version(self):
        return sh([self.program, "--version"], check=False).split()[1]

    def setup(self):
        self.prints = []
        for i in (0, 1):
            key, certificate = self.folder / f"{i}.key", self.folder / f"{i}.crt"
            sh(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-keyout", key, "-out", certificate, "-days", "9", "-subj", f"/CN=n{i}"])
            shown = sh(["openssl", "x509", "-in", certificate, "-noout", "-fingerprint", "-sha256"])
            self.prints.append(shown.strip().split("=")[1])

    def start(self, i):
        side = (["--tls-client", "--nobind", "--remote", self.outside[0]] if i
                else ["--tls-server", "--float", "--dh", "none"])
        self.run(i, self.program, "--dev", self.devices[i], "--dev-type", "tun", "--proto", "udp4", *side,
                 "--ifconfig", self.addresses[i], self.addresses[1 - i], "--cert", self.folder / f"{i}.crt",
                 "--key", self.folder / f"{i}.key", "--peer-fingerprint", self.prints[1 - i],
                 "--data-ciphers", self.options.get("cipher", "AES-256-GCM"), "--disable-dco", "--verb", "2")


@known
class Fastd(Contender):
    """fastd between two interfaces: salsa2012+umac, the fastest of its methods, or method=."""

    name, programs, package = "fastd", ("fastd",), "fastd"

    def version(self):
        return sh([self.program, "--version"]).split()[-1]

    def setup(self):
        keys = [dict(re.findall(r"(Secret|Public): (\w+)", sh([self.program, "--generate-key"]))) for _ in (0, 1)]
        for i in (0, 1):
            up = self.write(f"up{i}", self.script_up(i), 0o755)
            there = f"remote {self.outside[0]}:10000; " if i else ""        # b dials, as elsewhere
            self.write(f"{i}.conf", f'log level warn;\nmode tun;\ninterface "{self.devices[i]}";\n'
                                    f'method "{self.options.get("method", "salsa2012+umac")}";\n'
                                    f'bind {self.outside[i]}:10000;\nsecret "{keys[i]["Secret"]}";\n'
                                    f'mtu {self.options.get("mtu", 1406)};\non up "{up}";\n'
                                    f'peer "p" {{ key "{keys[1 - i]["Public"]}"; {there}}}\n')

    def start(self, i):
        self.run(i, self.program, "-c", self.folder / f"{i}.conf")
