"""Bars in an SVG file: a small diagram for each figure, a bar for each VPN, a thin line from least to most.

Plain text, made here: no library, and the same figures give the same file. What belongs to p2pvpn is drawn in
another colour. The bare cable is so much faster that beside it all other bars would vanish: it is a number in the
title of its diagram, and no bar."""
from xml.sax.saxutils import escape

from bench_table import BARE, FIGURES

WIDTH, COLUMNS = 1000, 2
LETTER, BAR, GAP, VALUE = 7, 14, 6, 70          # px: width in a name, height, space between, room for a number
PEER, OURS, INK, FAINT = "#8da2b8", "#d9622b", "#222222", "#777777"
STYLE = "text { font: 12px sans-serif; fill: %s } .title { font-weight: bold } .faint { fill: %s }" % (INK, FAINT)


def number(value, places):
    return f"{value:,.{places}f}"


def panel(figure, bars, ours, bare, x, y, width):
    """The elements of one diagram. `bars` are (label, summary), from top to bottom."""
    top = max((s["max"] for _, s in bars), default=0) or 1
    room = LETTER * max(len(label) for label, _ in bars) + 6
    scale = (width - room - VALUE) / top
    better = "more is better" if figure.more_is_better else "less is better"
    beside = f", bare cable {number(bare['median'], figure.places)}" if bare else ""
    yield (f'<text x="{x}" y="{y + 12}"><tspan class="title">{escape(figure.title)}</tspan>'
           f'<tspan class="faint"> ({better}{beside})</tspan></text>')
    for n, (label, s) in enumerate(bars):
        line = y + 22 + n * (BAR + GAP)
        start, length = x + room, s["median"] * scale
        colour = OURS if label in ours else PEER
        middle = line + BAR / 2
        yield f'<text x="{start - 6}" y="{line + 11}" text-anchor="end">{escape(label)}</text>'
        yield f'<rect x="{start}" y="{line}" width="{length:.1f}" height="{BAR}" fill="{colour}"/>'
        if s["max"] > s["min"]:
            yield (f'<path d="M{start + s["min"] * scale:.1f} {middle}H{start + s["max"] * scale:.1f}" '
                   f'stroke="{INK}" stroke-width="1"/>')
        end = start + s["max"] * scale + 5
        yield f'<text x="{end:.1f}" y="{line + 11}">{number(s["median"], figure.places)}</text>'


def svg(summary, ours, title):
    """The document: a diagram for each figure that any VPN has, details left out."""
    bodies, heights = [], [34] * COLUMNS
    width = WIDTH / COLUMNS - 20
    for figure in FIGURES:
        bars = [(label, s["figures"][figure.key]) for label, s in summary.items()
                if label != BARE and figure.key in s["figures"]]
        if not bars or figure.is_detail:
            continue
        column = heights.index(min(heights))
        bare = summary.get(BARE, {"figures": {}})["figures"].get(figure.key)
        bodies += panel(figure, bars, ours, bare if figure.beside_bare else None,
                        10 + column * WIDTH // COLUMNS, heights[column], width)
        heights[column] += 22 + len(bars) * (BAR + GAP) + 16
    height = max(heights)
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
                      f'height="{height}">', f"<style>{STYLE}</style>",
                      f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
                      f'<text x="10" y="20" class="faint">{escape(title)}</text>', *bodies, "</svg>", ""])
