"""Who is there: every member lists all members of the community, with their names, linked or not."""
import time

from waiting import until

SECONDS_MAX = 3.5       # `peers` waits for answers for 3 s at most


def names(member):
    """What a member lists, by name: of members only."""
    return {peer["name"]: peer for peer in member.peers() if peer["community"]}


def test_each_of_twenty_lists_all_others(fleet):
    fleet.lab.lan(21)
    seed = fleet.seed("h1")
    members = [fleet.join(f"h{i}", seed, options=("--name", f"box-{i}")) for i in range(2, 22)]
    for member in members:
        member.wait_ready()
    until("the subring", lambda: all(member.has_neighbours(8) for member in members), 30)
    everybody = {f"box-{i}" for i in range(2, 22)}
    for i, member in enumerate(members, 2):
        start = time.monotonic()
        seen = names(member)
        assert time.monotonic() - start < SECONDS_MAX
        assert set(seen) == everybody - {f"box-{i}"}, member.tail()
        assert not [peer for peer in seen.values() if peer["path"] == "offline"], seen
        for k, other in enumerate(members, 2):
            assert k == i or seen[f"box-{k}"]["address"] == other.address()
    text = members[0].control("peers").stdout
    assert text.split()[:2] == ["NAME", "ID"] and "box-21" in text
    assert "all neighbours agree" in members[0].control("status").stdout
    linked = [peer["id"] for peer in members[0].linked()]
    idle = next(peer for peer in members[0].peers() if peer["community"] and peer["id"] not in linked)
    pong = members[0].control("ping", idle["id"][:10], "--count", 1)
    assert pong.returncode == 0, pong.stderr

    dead, witness = members[7], members[0]
    dead_id = dead.id()
    dead.kill9()
    gone = until("the dead to be offline", lambda: next(
        (p for p in witness.peers() if p["id"] == dead_id and p["path"] == "offline"), None), 45, every=1)
    assert gone["name"] == "box-9" and 0 <= gone["last_seen_s"] < 60
    line = next(line for line in witness.control("peers").stdout.splitlines() if line.startswith("box-9 "))
    assert "offline, last seen " in line and line.split()[1] == dead_id[:10]


def test_who_leaves_is_offline_at_once(fleet):
    fleet.lab.lan(4)
    seed = fleet.seed("h1")
    members = [fleet.joined(f"h{i}", seed, options=("--name", f"box-{i}")) for i in (2, 3, 4)]
    a, b, c = members
    until("names", lambda: set(names(a)) == {"box-3", "box-4"}, 10)
    assert b.terminate() == 0
    for member, other in ((a, "box-4"), (c, "box-2")):
        def seen():
            return {name: peer["path"] == "offline" for name, peer in names(member).items()}
        until("the good-bye", lambda: seen() == {"box-3": True, other: False}, 2, detail=member.tail)


def test_a_name_is_a_label(fleet):
    fleet.lab.lan(2)
    member = fleet.join("h2", options=("--name", "my host"))
    assert member.wait_exit() == 2
    assert "letters, digits and hyphens" in member.log_text()


def test_an_open_community_hears_only_names_that_were_given(fleet):
    fleet.lab.lan(3)
    seed = fleet.seed("h1")
    a, b = [fleet.daemon(host, "join", "public", "--bootstrap", seed.host.ip, *options).wait_ready()
            for host, options in (("h2", ()), ("h3", ("--name", "box-3")))]
    until("the name", lambda: a.peer(b).get("name") == "box-3", 10)
    assert b.peer(a)["community"] == "public" and b.peer(a)["name"] is None
