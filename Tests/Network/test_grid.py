"""Kinds of networks against each other, as `make grid` measures them: some pairs here, all of them as soak."""
import pytest

import grid

SOME = [("none", "symmetric"), ("eim", "dual-stack"), ("port-restricted", "double"),
        ("port-restricted", "ipv6-only"), ("ipv6-only", "ipv6-only"), ("ipv6-only", "dual-stack"),
        ("port-restricted", "symmetric"), ("none", "udp-blocked"), ("udp-blocked", "udp-blocked")]


@pytest.mark.parametrize("pair", SOME, ids=grid.name)
def test_a_pair_is_reached_and_direct_where_that_is_possible(fleet, pair):
    run = grid.measure(fleet, pair)
    print(run)
    assert list(grid.misses(pair, [run])) == []
    assert (run["lost"], run["doubled"]) == (0, 0), run
    assert run["reason"] or grid.wanted(pair), run


@pytest.mark.soak
@pytest.mark.parametrize("pair", grid.PAIRS, ids=grid.name)
def test_every_pair_is_reached_and_direct_where_that_is_possible(fleet, pair):
    run = grid.measure(fleet, pair, delay=5)
    assert list(grid.misses(pair, [run])) == []
