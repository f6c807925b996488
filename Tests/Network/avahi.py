"""avahi on a host of the lab: the service discovery of every Linux desktop, with a bus and a /run of its own."""
import os
import subprocess

from netlab import stop
from waiting import until

BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
    <allow own="*"/>
    <allow user="*"/>
  </policy>
</busconfig>
"""

# A TUN device is a point-to-point link to avahi, which leaves those alone unless it is told otherwise.
CONFIGURATION = """[server]
host-name={name}
allow-interfaces={device}
allow-point-to-point=yes
use-ipv4=yes
use-ipv6=yes
[wide-area]
enable-wide-area=no
[publish]
publish-hinfo=no
publish-workstation=no
"""

# A /run of its own: without it the daemons of all hosts would share one bus.
START = """mount -t tmpfs tmpfs /run && mkdir -p /run/dbus /run/avahi-daemon &&
dbus-daemon --config-file={bus} --nofork --nopidfile &
for i in $(seq 100); do [ -S /run/dbus/system_bus_socket ] && break; sleep 0.05; done
exec avahi-daemon --file={configuration} --no-drop-root --no-chroot --no-rlimits
"""


def is_there():
    return os.path.exists("/usr/sbin/avahi-daemon") and os.path.exists("/usr/bin/dbus-daemon")


class Avahi:
    """`with Avahi(member, folder) as avahi:` on a host that has joined."""

    def __init__(self, member, folder):
        self.host = member.host
        name = self.host.name
        files = {"bus": (f"{name}-bus.conf", BUS), "configuration": (
            f"{name}-avahi.conf", CONFIGURATION.format(name=f"host-{name}", device=member.interface()))}
        paths = {}
        for key, (file, text) in files.items():
            paths[key] = folder / file
            paths[key].write_text(text)
        self.log = open(folder / f"{name}-avahi.log", "w")
        self.process = self.host.popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", START.format(**paths)],
            stdout=self.log, stderr=subprocess.STDOUT)
        self.others = []
        until(f"avahi on {name}", lambda: self.run("avahi-browse", "-apt").returncode == 0, 20)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        stop([*self.others, self.process])
        self.log.close()

    def _inside(self, *command):
        return ["nsenter", "-t", str(self.process.pid), "--mount", "--net", *command]

    def run(self, *command, timeout=20):
        """A command that speaks to this host's avahi."""
        return subprocess.run(self._inside(*command), capture_output=True, text=True, timeout=timeout, check=False)

    def publish(self, name, kind, port):
        """Announces a service until the end."""
        self.others.append(subprocess.Popen(
            self._inside("avahi-publish", "-s", name, kind, str(port)), stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True))

    def services(self, kind):
        """What is found: (name, host name, address, port) of each."""
        lines = self.run("avahi-browse", "-rpt", kind).stdout.splitlines()
        found = [line.split(";") for line in lines if line.startswith("=")]
        return {(f[3], f[6], f[7], int(f[8])) for f in found}
