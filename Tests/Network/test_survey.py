"""What the network says of itself: crawls and tasks over thirty real nodes, whole and while nodes die."""
import concurrent.futures
import json
import signal
import xml.etree.ElementTree

import jsonschema
import pytest

from daemon import FAILED, NOT_READY, ROOT, USAGE
from waiting import until

SEEDS, MEMBERS = 5, 25
EVERYBODY = ["count", "consistency", "consistency-calls"]
OPERATORS = ["versions", "nat", "latency", "load", "neighbours"]


def schema(name):
    return jsonschema.Draft202012Validator(
        json.loads((ROOT / "docs/schema" / f"{name}.schema.json").read_text()))


def ask(daemon, command, *args):
    """The answer of `crawl` or `mapreduce`, checked against its schema."""
    answer = daemon.json(command, *args)
    schema(command).validate(answer)
    return answer


def network(fleet):
    """Five seeds and twenty-five members, all of whom have the first seed for their operator."""
    fleet.lab.lan(SEEDS + MEMBERS)
    first = fleet.seed("h1")
    operator = ("--operator", first.status()["key"])
    seeds = [first]
    for i in range(2, SEEDS + 1):
        seeds.append(fleet.daemon(f"h{i}", "seed", "--bootstrap", first.host.ip, *operator))
    members = [fleet.join(f"h{i}", first, options=operator) for i in range(SEEDS + 1, SEEDS + MEMBERS + 1)]
    for daemon in seeds + members:
        daemon.wait_ready(limit=40)
    until("the ring to be whole", lambda: first.json("crawl")["whole"], limit=60,
          detail=lambda: first.control("crawl", "--explain").stdout)
    return seeds, members


def test_thirty_nodes_are_crawled_and_answer_every_task(fleet, tmp_path):
    seeds, members = network(fleet)
    first, member = seeds[0], members[3]
    everybody = SEEDS + MEMBERS

    for width in (1, 8, 16):
        crawl = ask(first, "crawl", "--width", width)
        assert crawl["whole"] and crawl["nodes"] == everybody and crawl["missing"] == 0
        assert crawl["final"] == 1 and crawl["winding"] == pytest.approx(1) and crawl["components"] == 1
    among_members = ask(member, "crawl", "--community")
    assert among_members["nodes"] == MEMBERS and among_members["community"] == "home"

    for task in EVERYBODY:
        answer = ask(member, "mapreduce", task)
        assert answer["nodes"] == everybody and answer["complete"], answer
    for task in ("consistency", "consistency-calls"):
        answer = ask(seeds[2], "mapreduce", task)
        assert answer["final"] == 1 and answer["method1"] == 1 and answer["whole"], answer
    for task in EVERYBODY + OPERATORS:
        answer = ask(member, "mapreduce", task, "--community")
        assert answer["nodes"] == MEMBERS and answer["declined"] == 0, answer
    for task in OPERATORS:
        answer = ask(first, "mapreduce", task)
        assert answer["nodes"] == everybody and answer["complete"], answer
        stranger = ask(member, "mapreduce", task)
        assert stranger["nodes"] == 1 and stranger["declined"] == everybody - 1, stranger

    # What people see.
    table = first.control("crawl").stdout
    assert table.startswith(f"ring whole: {everybody} nodes, consistency 1.000"), table
    assert first.control("mapreduce", "consistency").stdout.startswith("ring whole: 30 nodes, consistency 1.000")
    lines = [json.loads(line) for line in first.control("crawl", "--format", "ndjson").stdout.splitlines()]
    assert len(lines) == everybody and all(len(line["right"]) == 4 for line in lines)
    assert first.control("crawl", "--format", "dot").stdout.startswith("digraph")
    picture = tmp_path / "ring.svg"
    assert first.control("crawl", "--svg", picture).returncode == 0
    root = xml.etree.ElementTree.parse(picture).getroot()
    assert root.tag.endswith("svg") and len(list(root.iter())) > everybody

    # What is typed wrongly, and what may not be asked.
    wrong = first.control("mapreduce", "consistancy")
    assert wrong.returncode == USAGE and "consistency" in wrong.stderr
    assert first.control("crawl", "--width", "0").returncode == USAGE
    assert first.control("crawl", "--explain", "--format", "dot").returncode == USAGE
    nowhere = first.control("crawl", "--svg", tmp_path / "none" / "ring.svg")
    assert nowhere.returncode == FAILED and "make the folder first" in nowhere.stderr and not nowhere.stdout
    assert first.control("crawl", "--svg", "-").stdout.startswith("<svg")
    alone = first.control("mapreduce", "count", "--community")
    assert alone.returncode == FAILED and "seed" in alone.stderr


def test_nodes_that_die_while_they_are_asked_cost_themselves_only(fleet):
    seeds, members = network(fleet)
    first = seeds[0]
    doomed = members[:6]
    dead = {daemon.id() for daemon in doomed}

    def asked(command, *args):
        return ask(first, command, *args)
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        answers = [pool.submit(asked, "crawl", "--width", "2"), pool.submit(asked, "mapreduce", "consistency"),
                   pool.submit(asked, "mapreduce", "count")]
        for daemon in doomed:
            daemon.kill9()
        crawl, consistency, count = [answer.result() for answer in answers]
    alive = SEEDS + MEMBERS - len(doomed)
    assert alive <= crawl["nodes"] <= alive + len(doomed), crawl
    for answer in (consistency, count):
        assert answer["nodes"] <= alive + len(doomed) and answer["nodes"] + answer["missing"] >= alive, answer
    assert set(consistency["silent_nodes"]) <= dead

    # Before the ring has noticed: who is dead is said, and by whom it was missed.
    explained = ask(first, "crawl", "--explain")
    assert explained["nodes"] == alive
    for explanation in explained["explanations"]:
        if explanation["id"] in dead:
            assert explanation["cause"] in ("dead", "lagging"), explanation
            assert explanation["opinions"], explanation
    # And then it is whole again.
    until("the ring to be whole", lambda: first.json("crawl")["whole"], limit=60,
          detail=lambda: first.control("crawl", "--explain").stdout)
    again = ask(first, "mapreduce", "consistency")
    assert again["nodes"] == alive and again["complete"] and again["final"] == 1, again
    assert first.control("mapreduce", "consistency", "--check").returncode == 0


def test_a_node_that_is_stopped_is_found_and_explained(fleet):
    fleet.lab.lan(6)
    first = fleet.seed("h1").wait_ready()
    members = [fleet.joined(f"h{i}", first) for i in range(2, 7)]
    until("the ring to be whole", lambda: first.json("crawl")["nodes"] == 6 and first.json("crawl")["whole"],
          limit=60, detail=lambda: first.control("crawl", "--explain").stdout)
    stopped, said = members[2], members[2].id()
    stopped.process.send_signal(signal.SIGSTOP)
    try:
        # Its neighbours have not noticed: they name it, and it does not answer. A second look would be too late.
        checked = first.control("crawl", "--explain", "--check", "--json")
        assert checked.returncode == NOT_READY, checked
        answer = json.loads(checked.stdout)
        assert not answer["whole"] and answer["missing_nodes"] == [said], answer
        why = next(each for each in answer["explanations"] if each["id"] == said)
        assert why["cause"] in ("dead", "lagging") and why["opinions"], why
    finally:
        stopped.process.send_signal(signal.SIGCONT)
    until("the ring to be whole", lambda: first.control("crawl", "--check").returncode == 0, limit=90,
          detail=lambda: first.control("crawl", "--explain").stdout)


def test_a_node_that_tells_nothing_is_counted_and_no_more(fleet):
    fleet.lab.lan(3)
    seed = fleet.seed("h1")
    quiet = fleet.joined("h2", seed, options=("--tells", "presence"))
    other = fleet.joined("h3", seed)
    until("all to be linked", lambda: ask(other, "mapreduce", "count")["nodes"] == 3, limit=30)
    answer = ask(other, "mapreduce", "versions", "--community")
    assert answer["nodes"] == 1 and answer["declined"] == 1
    assert ask(quiet, "mapreduce", "versions", "--community")["nodes"] == 1
