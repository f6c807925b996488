"""Many nodes that start at the same moment."""
import concurrent.futures
import random
import time

import pytest

from traffic import ping


@pytest.mark.parametrize("members", [20, pytest.param(60, marks=pytest.mark.soak)])
def test_all_are_connected_within_ten_seconds(fleet, members):
    fleet.lab.lan(members + 1)
    seed = fleet.seed("h1")
    assert fleet.secret_file            # made before the clock starts

    start = time.monotonic()
    crowd = [fleet.join(f"h{i}", seed) for i in range(2, members + 2)]
    for member in crowd:
        member.wait_ready(limit=30)
    took = time.monotonic() - start
    print(f"{members} members ready after {took:.1f} s")

    addresses = [member.address() for member in crowd]
    assert len(set(addresses)) == members, sorted(addresses)
    assert took <= 10, f"all were ready only after {took:.1f} s"

    hosts = [member.host for member in crowd]
    everybody = [(x, y) for x in range(members) for y in range(members) if x != y]
    pairs = random.Random(members).sample(everybody, 40)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answered = list(pool.map(lambda pair: ping(hosts[pair[0]], addresses[pair[1]], count=1), pairs))
    silent = [f"{hosts[x].name} -> {addresses[y]}" for (x, y), ok in zip(pairs, answered) if not ok]
    assert not silent
