"""The local API of real nodes: calls, the stream of events, and who may use it."""
import json
import os
import random
import signal
import stat
import subprocess
import threading
import time

import pytest

from api import Connection, Ear, call, mismatch
from daemon import NOT_PERMITTED, NOT_RUNNING
from traffic import ping, throughput
from waiting import until

DIRECT = ("lan", "direct")
STREAMS_MAX = 32


@pytest.fixture
def three(fleet):
    """A seed and two members that reach each other directly."""
    fleet.lab.lan(3)
    seed = fleet.seed("h1")
    a, b = fleet.joined("h2", seed), fleet.joined("h3", seed)
    ping(a.host, b.address())
    a.wait_path(b, DIRECT)
    return seed, a, b


def test_the_stream_tells_what_happens(fleet):
    lab = fleet.lab.lan(3)
    a = fleet.join("h2", lab["h1"])          # nobody is there yet: nothing happens before somebody listens
    until("the API", lambda: a.control("status").returncode == 0, 10)
    with Ear(a) as ear, Ear(a, ["warnings", "claims"]) as other:
        first = ear.events[0]
        assert first["topic"] == "stream" and first["event"] == "begins" and first["id"] == a.id()
        assert not first["ready"] and first["address"] is None
        seed = fleet.seed("h1")
        reached = ear.wait("bootstrap-reached", 20)
        assert reached["peer"] == seed.id() and reached["topic"] == "ring" and ear.wait("joined")
        granted = ear.wait("address-granted", 20)
        assert granted["topic"] == "claims" and granted["address"].split("/")[0] == a.address()
        alone = ear.wait("warning-set", 20, warning="alone")
        assert alone["topic"] == "warnings" and alone["text"] in a.status()["warnings"]
        b = fleet.joined("h3", seed)
        name = b.id()
        ear.wait("warning-cleared", 10, warning="alone")
        assert not a.status()["warnings"]
        ping(a.host, b.address())
        up = ear.wait("link-up", 10, peer=name)
        assert up["topic"] == "peers" and ear.find("member-found", peer=name)
        path = ear.wait("path-changed", 10, peer=name, path="lan")
        assert path["endpoint"].startswith(b.host.ip) or path["endpoint"].startswith("["), path
        assert a.control("path", b.address(), "overlay").returncode == 0
        ear.wait("path-changed", 10, peer=name, path="overlay")
        assert b.terminate() == 0
        ear.wait("link-lost", 20, peer=name)
        assert {event["topic"] for event in other.events} == {"stream", "warnings", "claims"}
        assert a.terminate() == 0
        ear.wait("left")
        ear.wait("ends")
        until("the end of the stream", lambda: not ear.is_alive(), 5)


def test_events_that_happened_before_are_in_the_first_one(three):
    _, a, _ = three
    with Ear(a) as ear:
        first = ear.events[0]
        assert first["ready"] and first["address"] == a.address() and first["peers"]["lan"] >= 1
        assert first["warnings"] == a.status()["warnings"]


def toggle(daemon, peer, count, connection=None):
    """Make events: the way to a peer changes so many times, and is as before in the end."""
    with connection or Connection(daemon.state / "api.sock") as c:
        for n in range(2 * count):
            c.call("path", peer=peer, mode="auto" if n % 2 else "overlay")


def test_twenty_listen_beside_calls(three):
    _, a, b = three
    peer = b.id()
    ears = [Ear(a) for _ in range(20)]
    try:
        callers = [threading.Thread(target=toggle, args=(a, peer, 25)) for _ in range(4)]
        for caller in callers:
            caller.start()
        for n in range(50):
            assert call(a, "status")["id"] == ears[0].events[0]["id"]
        assert a.ping(b).returncode == 0
        for caller in callers:
            caller.join()
        ears[0].wait("path-changed", peer=peer)
        until("the same events at all", lambda: len({len(ear.events) for ear in ears}) == 1, 5)
        told = [[event for event in ear.events if event["topic"] != "stream"] for ear in ears]
        assert all(each == told[0] for each in told) and told[0]
        assert not any(ear.find("lost") for ear in ears)
    finally:
        for ear in ears:
            ear.__exit__()


def test_who_never_reads_is_told_what_it_lost_and_disturbs_nobody(three):
    _, a, b = three
    peer = b.id()
    with Connection(a.state / "api.sock") as idle, Ear(a, ["paths"]) as ear:
        idle.listen(["paths"])
        changes = len(ear.events)
        start = time.monotonic()
        while len(ear.events) < changes + 3_000 and time.monotonic() - start < 60:
            toggle(a, peer, 100)
            assert ping(a.host, b.address(), count=1) == 1
        until("all events", lambda: ear.events[-1]["path"] in DIRECT, 5)
        assert not ear.find("lost"), "who reads misses nothing"
        heard, lost = 0, 0
        while not lost:
            event = idle.event()
            if event["event"] == "lost":
                lost = event["count"]
            else:
                heard += 1
        assert heard + lost == len(ear.events) - 1, (heard, lost, len(ear.events))
        toggle(a, peer, 1)
        assert idle.event()["event"] == "path-changed", "it is in the stream again"


def test_who_goes_makes_room(three):
    _, a, _ = three
    for _ in range(3):
        streams = [Connection(a.state / "api.sock") for _ in range(STREAMS_MAX)]
        for stream in streams:
            until("a place", lambda: begins(stream, a), 5)
        with Connection(a.state / "api.sock") as late:
            late.send("GET /events")
            status, body = late.answer()
            assert status == 503 and f"{STREAMS_MAX} programs" in body["error"]["message"]
        assert a.control("status").returncode == 0
        for stream in streams:
            stream.close()


def begins(stream, daemon):
    """Whether it is a stream now; the places of those who have just gone may not be free yet."""
    stream.send("GET /events")
    status, headers = stream.head()
    if status == 200:
        return stream.event()["event"] == "begins"
    stream.close()
    stream.__init__(daemon.state / "api.sock")
    return False


def test_lists_come_in_pages(fleet):
    fleet.lab.lan(9)
    seed = fleet.seed("h1")
    members = [fleet.join(f"h{i}", seed) for i in range(2, 10)]
    for member in members:
        member.wait_ready()
    a = members[0]
    until("all members", lambda: sum(p["community"] == "home" for p in a.peers()) == 7, 30)
    whole = [peer["id"] for peer in call(a, "peers")["peers"]]
    assert len(whole) == 8 and whole == sorted(whole)
    for limit in (1, 3, 8, 100):
        seen, after = [], None
        while True:
            page = call(a, "peers", limit=limit, after=after)
            assert len(page["peers"]) <= limit
            seen += [peer["id"] for peer in page["peers"]]
            after = page["next"]
            if after is None:
                break
        assert seen == whole
    assert sorted(peer["id"] for peer in a.peers()) == whole


def test_answers_have_the_form_that_help_shows(three):
    seed, a, b = three
    forms = {c["name"]: c["result"] for c in call(a, "help")["calls"]}
    asked = [("help", {}), ("status", {}), ("peers", {}), ("ping", {"target": b.address()}),
             ("lookup", {"target": b.address()}), ("route", {"target": seed.id()}), ("paths", {"peer": b.id()}),
             ("path", {"peer": b.id(), "mode": "auto"}), ("log", {}), ("leave", {})]
    assert {name for name, _ in asked} <= set(forms)
    for name, params in asked:
        assert mismatch(call(a, name, **params), forms[name], name) is None


def test_a_misspelt_call_is_told_what_was_meant(three):
    _, a, _ = three
    for words, said in ((("call", "peesr"), "did you mean peers?"), (("call", "ping", "targt=x"), "target"),
                        (("call", "peers", "limit=0"), "from 1 to 10000"), (("events", "pears"), "peers")):
        answer = a.control(*words)
        assert answer.returncode != 0 and said in answer.stderr, answer
    assert json.loads(a.control("call", "log").stdout) == {"schema": 1, "level": "info"}


def test_the_log_level_changes_while_the_node_runs(three):
    _, a, _ = three
    assert a.control("log").stdout.strip() == "info"
    assert a.control("log", "--level", "error").stdout.strip() == "error"
    size = len(a.log_text())
    assert a.control("log", "--level", "debug").stdout.strip() == "debug"
    assert "another log level level=debug" in a.log_text()[size:]
    assert a.control("log", "--level", "loud").returncode == 2


def test_the_command_prints_events_until_it_is_interrupted(three):
    _, a, b = three
    argv = a.host.argv([a.argv[0], "events", "--state", a.state])
    for words, check in (((), lambda line: "stream begins" in line),
                         (("--json",), lambda line: json.loads(line)["event"] == "begins")):
        command = subprocess.Popen([*argv, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert check(command.stdout.readline())
        toggle(a, b.id(), 1)
        assert "path-changed" in command.stdout.readline()
        command.send_signal(signal.SIGINT)
        assert command.wait(5) == 0 and not command.stderr.read()
    left = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    left.stdout.readline()
    killed = subprocess.Popen([*argv[:-1], b.state], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    killed.stdout.readline()
    assert a.terminate() == 0
    assert left.wait(5) == 0 and left.stdout.read().splitlines()[-1].endswith("stream ends")
    b.kill9()
    assert killed.wait(5) == NOT_RUNNING and "without a word" in killed.stderr.read()
    assert a.control("events").returncode == NOT_RUNNING


def test_other_users_are_refused(fleet):
    fleet.lab.lan(1)
    seed = fleet.seed("h1")
    binary, path = fleet.public_binary(), seed.state / "api.sock"
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]

    def typed(*words):
        return subprocess.run([*as_nobody, binary, *words, "--socket", path], capture_output=True, text=True)
    for words in (["status"], ["events"], ["call", "leave"]):
        answer = typed(*words)
        assert answer.returncode == NOT_PERMITTED and "belongs to another user" in answer.stderr, answer
    # Somebody has opened the doors: the kernel still says who comes.
    seed.state.chmod(0o755)
    path.chmod(0o666)
    for words in (["status"], ["events"], ["call", "leave"]):
        answer = typed(*words)
        assert answer.returncode == NOT_PERMITTED and "run as that user, or as root" in answer.stderr, answer
    got = subprocess.run([*as_nobody, "curl", "-sS", "-i", "--unix-socket", path, "http://p2pvpn/events"],
                         capture_output=True, text=True)
    head, body = got.stdout.split("\n\n")
    assert head.startswith("HTTP/1.1 403 ") and json.loads(body)["error"]["code"] == -32000 - NOT_PERMITTED
    assert seed.is_running() and seed.control("status").returncode == 0


def test_a_node_of_another_user_serves_root_too(fleet):
    fleet.lab.lan(1)
    state = fleet.folder / "other"
    state.mkdir()
    os.chown(state, 65534, 65534)
    wrapper = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    seed = fleet.daemon("h1", "seed", state=state, wrapper=wrapper, binary=fleet.public_binary()).wait_ready()
    assert call(seed, "status")["id"] == seed.id()


@pytest.mark.parametrize("count", [10_000, pytest.param(100_000, marks=pytest.mark.soak)])
def test_random_requests_all_have_answers(fleet, count):
    fleet.lab.pair()
    a, b = fleet.join("a", fleet.lab["b"]), fleet.join("b", fleet.lab["a"])
    a.wait_ready(), b.wait_ready()
    chance = random.Random(os.environ.get("P2PVPN_TEST_SEED", "requests"))
    calls = call(a, "help")["calls"]
    threads = 8
    failures = []

    def client(chance):
        try:
            bombard(a.state / "api.sock", calls, count // threads, chance)
        except Exception as error:              # told by the test, not by the thread
            failures.append(error)
    clients = [threading.Thread(target=client, args=(random.Random(chance.random()),)) for _ in range(threads)]
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    assert not failures, failures[0]
    assert a.is_running() and ping(a.host, b.address()) == 3


def bombard(path, calls, count, chance):
    """So many requests one after the other, each with a well-formed answer."""
    names = sorted({key for c in calls for key in c["params"]["properties"]}) + ["nonsense"]
    values = [None, True, 0, 1, -1, 10_000, 1.5, 1e300, "", "auto", "debug", "100.80.0.9", "ab12", "x" * 70, [], {}]
    # Those that ask others take their time; `ping` has a short patience here.
    quick = [c["name"] for c in calls if not c["progress"] and c["name"] not in ("leave", "lookup", "route")]
    connection = Connection(path)
    for _ in range(count):
        method = chance.choice(quick + ["", "nonsense"])
        params = {chance.choice(names): chance.choice(values) for _ in range(chance.randrange(4))}
        if method == "ping":
            params["timeout_ms"] = chance.choice([0, 1, "1"])
        text = json.dumps({"jsonrpc": "2.0", "id": 7, "method": method,
                           "params": chance.choice([params, params, params, [], None])})
        if chance.random() < 0.2:
            at = chance.randrange(len(text))
            text = text[:at] + chance.choice(["", "\0", "\"", "}", "é"]) + text[at + 1:]
        connection.send(chance.choice(["POST /", "POST /", "POST /", "GET /x", "DELETE /"]), text.encode())
        status, headers = connection.head()
        answer = json.loads(connection.file.read(int(headers["content-length"])))
        assert ("result" in answer) != ("error" in answer), answer
        assert status == 200 or answer["error"]["message"]
        if headers["connection"] == "close":
            connection.close()
            connection = Connection(path)
    connection.close()


@pytest.mark.soak
def test_twenty_listeners_for_ten_minutes(fleet):
    """They cost no memory that grows, and none of the speed: two pairs of members take turns, and one of them
    has the listeners, so that whatever else the machine does concerns both."""
    minutes = float(os.environ.get("P2PVPN_SOAK_MINUTES", "10"))
    fleet.lab.lan(5)
    seed = fleet.seed("h1")
    a, b, c, d = [fleet.joined(f"h{i}", seed) for i in range(2, 6)]
    ears = [Ear(a) for _ in range(20)]
    heard, unheard, resident, marks = [], [], [], []
    try:
        start = time.monotonic()
        while time.monotonic() - start < 60 * minutes:
            turns = [(a, b, heard), (c, d, unheard)]
            for source, target, rates in turns if len(heard) % 2 else turns[::-1]:
                toggle(source, target.id(), 20)
                source.wait_path(target, DIRECT)
                rates.append(throughput(source.host, target.host, target.address(), seconds=5))
            resident.append(resident_kb(a))
            marks.append(time.monotonic() - start)
        settled = next(kb for kb, at in zip(resident, marks) if at >= 60)
        ratio = sum(heard) / sum(unheard)
        print(f"goodput {sum(heard) / len(heard) / 1e6:.0f} Mbit/s with listeners, "
              f"{sum(unheard) / len(unheard) / 1e6:.0f} without: {ratio:.3f}; resident {resident[0]} kB at first, "
              f"{settled} after a minute, {resident[-1]} at the end, {max(resident)} at most; "
              f"{len(ears[0].events)} events for each")
        assert all(ear.is_alive() and not ear.find("lost") for ear in ears)
        assert max(resident[resident.index(settled):]) - settled <= 1_024, resident
        assert ratio >= 0.95, (heard, unheard)
    finally:
        for ear in ears:
            ear.__exit__()


def resident_kb(daemon):
    with open(f"/proc/{daemon.process.pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
