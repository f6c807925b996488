"""What programs use of this machine, processor time and memory, and whether others are busy meanwhile."""
import json
import os
import platform
import re
import time

TICK = os.sysconf("SC_CLK_TCK")
BUSY = 0.1          # share of the machine that others may use before we say so


def keep(args, summary, rounds, **what):
    """Writes what was measured, when, and on which machine."""
    machine = {"kernel": platform.release(), "cpus": os.cpu_count(), "machine": platform.machine()}
    document = {**what, "date": time.strftime("%FT%TZ", time.gmtime()), "machine": machine,
                "settings": vars(args), "summary": summary, "rounds": rounds}
    with open(args.json, "w") as file:
        json.dump(document, file, indent=1)
        file.write("\n")


def cpu_seconds(pid):
    """Time that all threads of a process have run, to the microsecond."""
    folder = f"/proc/{pid}/task"
    return sum(int(open(f"{folder}/{task}/schedstat").read().split()[0]) for task in os.listdir(folder)) / 1e9


def memory_mb(pid, field="VmRSS"):
    """A figure of a process's status: VmRSS is what it has now, VmHWM the most it ever had."""
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(rf"^{field}:\s+(\d+)", status.read(), re.M)[1]) / 1024


def _ticks():
    """user, nice, system, idle, iowait, irq, softirq, steal of all cores since the machine began."""
    with open("/proc/stat") as stat:
        return [int(x) for x in stat.readline().split()[1:9]]


def busy_seconds():
    """Processor time that anything used so far, of all cores."""
    ticks = _ticks()
    return (sum(ticks) - ticks[3] - ticks[4] - ticks[7]) / TICK


def foreign_seconds():
    """Processor time that others used so far; right between two moments at which no child of ours runs.

    What our programs do in softirq is in their own times, and not in the machine's user and system times: so
    irq and softirq are counted on both sides, and what the kernel's ksoftirqd do is taken for ours."""
    times = os.times()
    ours = times.user + times.system + times.children_user + times.children_system
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/comm") as comm:
                if comm.read().startswith("ksoftirqd"):
                    ours += cpu_seconds(pid)
        except OSError:
            pass
    return busy_seconds() - ours


def machine_load(seconds=1.0):
    """Busy share of all cores while we do nothing."""
    before = _ticks()
    time.sleep(seconds)
    spent = [now - then for now, then in zip(_ticks(), before)]
    return (sum(spent) - spent[3] - spent[4]) / max(1, sum(spent))


def wait_quiet(limit=20):
    """Wait until others leave the machine alone; returns the share they use then."""
    end = time.monotonic() + limit
    while (load := machine_load(min(1.0, max(0.1, limit)))) > BUSY and time.monotonic() < end:
        pass
    return load
