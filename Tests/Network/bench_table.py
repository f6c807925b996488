"""What `make bench` prints: medians over rounds, the ratios to the bare cable and to the best other VPN.

A ratio to the cable is the median of the ratios within a round, as the machine changes from round to round."""
import dataclasses
import statistics

BARE, OURS = "bare", "ours"
DASH = "–"


@dataclasses.dataclass(frozen=True)
class Figure:
    """One line of the table: its key in a sample, title, decimals, whether more is better, and how it stands
    beside the cable: as a `share` of the cable's figure, by what it is `more`, or not at all. A detail explains
    the figure before it: nobody wants to be best in it."""

    key: str
    title: str
    places: int
    more_is_better: bool
    beside_bare: str = ""
    is_detail: bool = False


FIGURES = (
    Figure("tcp1_ab_gbit", "TCP, 1 stream, a > b, Gbit/s", 2, True, "share"),
    Figure("tcp1_ba_gbit", "TCP, 1 stream, b > a, Gbit/s", 2, True, "share"),
    Figure("tcp4_ab_gbit", "TCP, 4 streams, a > b, Gbit/s", 2, True, "share"),
    Figure("tcp4_ba_gbit", "TCP, 4 streams, b > a, Gbit/s", 2, True, "share"),
    Figure("udp_gbit", "UDP 1,200 bytes, < 1 % lost, Gbit/s", 2, True, "share"),
    Figure("udp_blast_gbit", "UDP 1,200 bytes, all it can, Gbit/s", 2, True, "share"),
    Figure("udp_blast_lost_percent", "  lost of that, %", 0, False, is_detail=True),
    Figure("pps", "UDP 64 bytes, < 1 % lost, packets/s", 0, True, "share"),
    Figure("vpn_cpu_s_per_gb", "processor time of the VPN, s/GB", 2, False),
    Figure("machine_cpu_s_per_gb", "processor time of the machine, s/GB", 2, False),
    Figure("rtt_p50_ms", "ping p50, ms", 3, False, "more"),
    Figure("rtt_p99_ms", "ping p99, ms", 3, False, "more"),
    Figure("busy_rtt_p50_ms", "ping p50 beside TCP, ms", 3, False, "more"),
    Figure("busy_rtt_p99_ms", "ping p99 beside TCP, ms", 3, False, "more"),
    Figure("rss_idle_mb", "memory of b, idle, MB", 1, False),
    Figure("rss_peak_mb", "memory of b, most, MB", 1, False),
)


def summarize(samples):
    """For each label and figure: median, least and most, and the median of what it is beside the cable."""
    return {label: {"errors": [s["error"] for s in rounds if "error" in s],
                    "figures": {f.key: _summary(f, rounds, samples.get(BARE, ())) for f in FIGURES
                                if any(f.key in s for s in rounds)}}
            for label, rounds in samples.items()}


def _summary(figure, rounds, bare):
    values = [s[figure.key] for s in rounds if figure.key in s]
    summary = {"median": statistics.median(values), "min": min(values), "max": max(values)}
    pairs = [(s[figure.key], b[figure.key]) for s, b in zip(rounds, bare) if figure.key in s and figure.key in b]
    if figure.beside_bare == "share" and all(cable for _, cable in pairs) and pairs:
        summary["share"] = statistics.median(own / cable for own, cable in pairs)
    elif figure.beside_bare == "more" and pairs:
        summary["more"] = statistics.median(own - cable for own, cable in pairs)
    return summary


def best_peer(summary, figure, ours):
    """The label of the best other VPN in one figure, or None. A rate of 0 and no processor time are no figures."""
    found = {label: s["figures"][figure.key]["median"] for label, s in summary.items()
             if label != BARE and label not in ours and s["figures"].get(figure.key, {}).get("median")}
    return (max if figure.more_is_better else min)(found, key=found.get) if found else None


def rows(summary, ours):
    """The lines of the table, its head first: a title, a cell for each label, and ours beside the best peer.

    `ours` are the labels that are not peers; the first of them is the one that is compared."""
    has_peers = any(label not in ours and label != BARE for label in summary)
    first = next((label for label in ours if label in summary and has_peers), None)
    lines = [["", *summary, *([f"{first} : best peer"] if first else [])]]
    for figure in FIGURES:
        cells = {label: s["figures"].get(figure.key) for label, s in summary.items()}
        if not any(cells.values()):
            continue
        row = [figure.title, *(f"{c['median']:,.{figure.places}f}" if c else DASH for c in cells.values())]
        if first:
            row.append(_beside_best(summary, figure, ours, cells[first]))
        lines.append(row)
        kind = figure.beside_bare
        if kind and any(c and kind in c for label, c in cells.items() if label != BARE):
            shown = {"share": lambda x: f"{x:.3f}", "more": lambda x: f"{x:+.{figure.places}f}"}[kind]
            title = {"share": "  of the bare cable", "more": "  more than the bare cable"}[kind]
            lines.append([title, *("" if label == BARE or not c or kind not in c else shown(c[kind])
                                   for label, c in cells.items()), *([""] if first else [])])
    return lines


def _beside_best(summary, figure, ours, own):
    best = best_peer(summary, figure, ours)
    if figure.is_detail or not best or not own or not own["median"]:
        return ""
    return f"{own['median'] / summary[best]['figures'][figure.key]['median']:.2f} ({best})"


def text(lines):
    """The lines as columns for a terminal."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    aligned = [[line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])] for line in lines]
    return "\n".join("  ".join(cells).rstrip() for cells in aligned)


def markdown(lines):
    """The lines as a table of a document."""
    marked = [lines[0], ["---"] * len(lines[0]), *lines[1:]]
    return "\n".join("| " + " | ".join(cell.strip() for cell in line) + " |" for line in marked)
