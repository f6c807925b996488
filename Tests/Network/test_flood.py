"""A member that floods all others with broadcasts: it is held to its share, and nobody else notices."""
import ipaddress
import threading

from ears import Ear
from traffic import Flow, paced
from waiting import until

FLOOD, SECONDS, BATCH = 2_000, 5, 20        # packets a second, and how many of them at once
SHARE, BURST = 100, 200                     # what a member may broadcast in a second, and at once
BEACON = 10


def test_a_flood_of_broadcasts_is_limited_and_disturbs_nobody(fleet):
    fleet.lab.lan(7)
    seed = fleet.seed("h1")
    members = [fleet.join(f"h{i}", seed) for i in range(2, 8)]
    ears = [Ear(member.wait_ready()) for member in members]
    until("links", lambda: all(member.has_neighbours(5) for member in members), 20)
    broadcast = str(ipaddress.ip_network(members[0].pool()).broadcast_address)
    flooder, beacon, *others = ears
    before = members[0].community()["dropped"]["limited"]

    def flood():
        for n in paced(FLOOD / BATCH, SECONDS * FLOOD // BATCH):
            for k in range(BATCH):
                flooder.say(f"flood {n * BATCH + k}", broadcast)
    thread = threading.Thread(target=flood, daemon=True)
    with Flow(members[2].host, members[3].address(), interval=0.05) as flow:
        until("the ping to be answered", flow.replies, 5)
        thread.start()
        for n in paced(BEACON, SECONDS * BEACON):
            beacon.say(f"beacon {n}", broadcast)
            for ear in ears:
                ear.listen()
        thread.join(SECONDS)
        until("all beacons to be heard", lambda: all(
            sum("beacon" in text for text in ear.listen()) == SECONDS * BEACON for ear in (flooder, *others)), 5)
    assert not thread.is_alive()
    assert (flow.lost, flow.doubled) == ([], [])

    def dropped():
        return members[0].community()["dropped"]["limited"] - before
    allowed = BURST + SHARE * (SECONDS + 1)
    until("the rest to be counted", lambda: dropped() >= SECONDS * FLOOD - allowed, 5,
          detail=lambda: f"dropped {dropped()} of {SECONDS * FLOOD}")
    for ear in (beacon, *others):
        heard = sum("flood" in text for text in ear.listen())
        assert SHARE * SECONDS <= heard <= allowed, heard
        assert set(ear.heard.values()) == {1}
    for ear in ears:
        ear.close()
