"""Tests that start the real program on real (if small) networks.

They need root and /dev/net/tun for what a VPN does, and skip, saying so loudly, where a
machine does not give them that. Run them all with `make test`, or some of them with

    sudo python3 -m pytest Tests/Network/test_paths.py

The program is .build/release/p2pvpn unless P2PVPN_BIN names another one."""
import os
import signal

import pytest

from daemon import BINARY
from fleet import Fleet
from netlab import obstacle

TEST_LIMIT, SOAK_LIMIT = 180, 3600      # seconds


def pytest_configure():
    """TERM ends a run as Ctrl-C does, so that every namespace is removed."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.fixture(scope="session")
def binary():
    if not os.access(BINARY, os.X_OK):
        pytest.exit(f"there is no program at {BINARY}: run `make build` first, or set P2PVPN_BIN", returncode=1)
    return BINARY


@pytest.fixture(scope="session")
def namespaces():
    """Skips where no lab can be built."""
    problem = obstacle()
    if problem:
        pytest.skip(problem)


@pytest.fixture(scope="session")
def tunnels(namespaces):
    """Skips where no TUN device can be made."""
    if not os.path.exists("/dev/net/tun"):
        pytest.skip("there is no /dev/net/tun (modprobe tun, or give the container --device /dev/net/tun)")


@pytest.fixture
def fleet(binary, tunnels, request):
    with Fleet() as fleet:
        request.node.fleet = fleet
        yield fleet


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    """No test runs for ever, whatever it waits for."""
    limit = SOAK_LIMIT if item.get_closest_marker("soak") else TEST_LIMIT

    def out_of_time(*_):
        pytest.fail(f"still not done after {limit} s")
    old = signal.signal(signal.SIGALRM, out_of_time)
    signal.alarm(limit)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, old)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failure shows the ends of all logs."""
    report = (yield).get_result()
    fleet = getattr(item, "fleet", None)
    if report.when == "call" and report.failed and fleet:
        report.sections.append(("logs", fleet.tails()))


def pytest_terminal_summary(terminalreporter):
    skipped = terminalreporter.stats.get("skipped", [])
    if skipped:
        reasons = sorted({str(report.longrepr[2]).removeprefix("Skipped: ") for report in skipped})
        terminalreporter.write_sep("!", f"{len(skipped)} TESTS DID NOT RUN ON THIS MACHINE", red=True, bold=True)
        for reason in reasons:
            terminalreporter.write_line(f"  because {reason}", red=True)
