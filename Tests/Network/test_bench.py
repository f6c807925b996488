"""The benchmark itself: it measures, table and plot say what was measured, and it leaves nothing behind."""
import json
import signal
import subprocess
import sys
import xml.etree.ElementTree as xml

import pytest

import bench
import contender
import plot
from bench_table import BARE, markdown, rows, summarize, text
from datagrams import udp_batches
from netlab import PREFIX, Lab, sh
from waiting import until

SAMPLES = {BARE: [{"tcp1_ab_gbit": 10.0, "rtt_p50_ms": 0.1}, {"tcp1_ab_gbit": 20.0, "rtt_p50_ms": 0.1}],
           "ours": [{"tcp1_ab_gbit": 4.0, "rtt_p50_ms": 0.3, "vpn_cpu_s_per_gb": 1.0},
                    {"tcp1_ab_gbit": 6.0, "rtt_p50_ms": 0.5}],
           "slow": [{"tcp1_ab_gbit": 1.0, "rtt_p50_ms": 0.8, "vpn_cpu_s_per_gb": 9.0}, {"error": "it ended"}],
           "fast <1>": [{"tcp1_ab_gbit": 2.0, "rtt_p50_ms": 0.8}, {"tcp1_ab_gbit": 3.0, "rtt_p50_ms": 0.2}]}


def test_ratios_are_taken_within_a_round_and_to_the_best_other():
    lines = {line[0].strip(): line[1:] for line in rows(summarize(SAMPLES), ["ours"])}
    assert lines[""] == [BARE, "ours", "slow", "fast <1>", "ours : best peer"]
    assert lines["TCP, 1 stream, a > b, Gbit/s"] == ["15.00", "5.00", "1.00", "2.50", "2.00 (fast <1>)"]
    assert lines["of the bare cable"] == ["", "0.350", "0.100", "0.175", ""]
    assert lines["ping p50, ms"][-1] == "0.80 (fast <1>)"
    assert lines["more than the bare cable"] == ["", "+0.300", "+0.700", "+0.400", ""]
    assert lines["processor time of the VPN, s/GB"] == ["–", "1.00", "9.00", "–", "0.11 (slow)"]


def test_every_line_of_the_table_has_all_columns():
    lines = rows(summarize(SAMPLES), ["ours"])
    assert {len(line) for line in lines} == {6}
    assert len(text(lines).splitlines()) == len(lines)
    assert {line.count("|") for line in markdown(lines).splitlines()} == {7}


def test_the_plot_is_a_document_with_a_bar_for_each_vpn_and_figure():
    drawing = plot.svg(summarize(SAMPLES), ["ours"], "a < b")
    shapes = xml.fromstring(drawing).iter("{http://www.w3.org/2000/svg}rect")
    bars = [shape for shape in shapes if shape.get("fill") != "white"]
    assert len(bars) == 3 + 3 + 2 and sum(e.get("fill") == plot.OURS for e in bars) == 3
    assert drawing == plot.svg(summarize(SAMPLES), ["ours"], "a < b")


@pytest.mark.parametrize("limit", [0, 900, 5_000, 90_000, 1_000_000])
def test_the_search_finds_the_highest_rate_without_loss(limit):
    tried = []

    def attempt(rate):
        tried.append(rate)
        rate = rate or 100_000
        return (rate, 0.0) if rate <= limit else (rate / 2, 50.0)
    best, blast = bench.highest(attempt, 4)
    assert blast == attempt(0) and len(tried) <= 2 + bench.PROBES_MAX + 4
    expected = min(limit, 100_000)
    assert 0.9 * expected <= best <= expected


def test_a_vpn_is_given_options_and_environment():
    vpn = contender.parse("ours:env=P2PVPN_X=a=b,env=Y=2,name=other,join=--offload off")
    assert vpn.label == "other" and vpn.more_env == {"P2PVPN_X": "a=b", "Y": "2"} and vpn.options["join"] == "--offload off"
    with pytest.raises(ValueError, match="unknown VPN"):
        contender.parse("another")


def test_each_round_begins_with_another_vpn():
    assert [bench.rotated([1, 2, 3], n) for n in range(4)] == [[1, 2, 3], [2, 3, 1], [3, 1, 2], [1, 2, 3]]


def command(folder, *options):
    return [sys.executable, bench.__file__, "--vpn", "ours", "--seconds", "1", "--pings", "10", "--steps", "0",
            "--patience", "0", "--again", "0", "--json", folder / "b.json", "--svg", folder / "b.svg", *options]


def test_one_command_measures_and_writes_table_plot_and_samples(binary, tunnels, tmp_path):
    argv = command(tmp_path, "--tests", "ping,tcp1")
    done = subprocess.run(argv, capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, done.stderr
    assert "of the bare cable" in done.stdout and "FAILED" not in done.stdout, done.stdout
    document = json.loads((tmp_path / "b.json").read_text())
    for label, (sample,) in document["rounds"].items():
        assert sample["tcp1_ab_gbit"] > 0 and "rtt_p99_ms" in sample, label
    assert document["rounds"]["ours"][0]["vpn_cpu_s_per_gb"] > 0
    assert document["vpns"]["ours"]["version"].startswith("p2pvpn ")
    assert xml.parse(tmp_path / "b.svg").getroot().tag.endswith("svg")


@pytest.mark.parametrize("batch", [1, 20])
def test_datagrams_are_sent_at_a_rate_and_counted(namespaces, batch):
    with Lab() as lab:
        lab.pair()
        rate, lost, used = udp_batches(lab["a"], lab["b"], lab["b"].ip, 1200, batch, 0.5, 20e6)
    assert 5e6 < rate < 25e6 and lost < 5 and used == batch


def test_nothing_stays_behind_when_it_is_ended(binary, tunnels, tmp_path):
    running = subprocess.Popen(command(tmp_path, "--tests", "load"), stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    until("its namespaces", lambda: f"{PREFIX}-{running.pid}-0-b" in sh(["ip", "netns", "list"]), 20)
    running.send_signal(signal.SIGTERM)
    assert running.wait(20) == 128 + signal.SIGTERM
    assert f"{PREFIX}-{running.pid}-" not in sh(["ip", "netns", "list"])
