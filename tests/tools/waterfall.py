"""A trace as Jaeger's API has it, drawn as its page would: one row a span, below the one it hangs from."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

ROW, LEFT, WIDTH, TOP = 22, 330, 960, 74
COLOURS = {"orchestrator": "#4c78a8", "zone-supervisor": "#f58518", "pod-agent": "#54a24b"}
INDENT = 14


class Span(NamedTuple):
    """What is drawn of a span; the first of `above` that is part of the trace is what it hangs below."""

    id: str
    above: tuple[str, ...]
    name: str
    service: str
    begun_us: int
    lasted_us: int
    note: str = ""


def rows(spans: Sequence[Span]) -> Iterator[tuple[int, Span]]:
    """Depth and span, each below the one it hangs from, the earlier first."""
    known = {span.id for span in spans}
    below: dict[str | None, list[Span]] = {}
    for span in sorted(spans, key=lambda span: (span.begun_us, span.lasted_us)):
        parent = next((one for one in span.above if one in known), None)
        below.setdefault(parent, []).append(span)
    open_ = [(0, span) for span in reversed(below.get(None, []))]
    while open_:
        depth, span = open_.pop()
        yield depth, span
        open_ += [(depth + 1, one) for one in reversed(below.get(span.id, []))]


def waterfall(spans: Sequence[Span], title: str) -> str:
    """The picture as SVG."""
    begun_us = min(span.begun_us for span in spans)
    lasted_us = max(span.begun_us + span.lasted_us for span in spans) - begun_us
    a_us = (WIDTH - LEFT - 90) / max(lasted_us, 1)
    height = TOP + ROW * len(spans) + 12
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="22" font-size="15">{escape(title)}</text>',
    ]
    for number, (service, colour) in enumerate(COLOURS.items()):
        lines.append(f'<rect x="{12 + 140 * number}" y="34" width="12" height="12" fill="{colour}"/>')
        lines.append(f'<text x="{30 + 140 * number}" y="45">{service}</text>')
    for quarter in range(5):
        x = LEFT + a_us * lasted_us * quarter / 4
        lines.append(f'<line x1="{x:.1f}" y1="{TOP - 8}" x2="{x:.1f}" y2="{height - 8}" stroke="#dddddd"/>')
        lines.append(f'<text x="{x:.1f}" y="{TOP - 12}" fill="#666666">{told(lasted_us * quarter // 4)}</text>')
    for number, (depth, span) in enumerate(rows(spans)):
        y = TOP + ROW * number
        x = LEFT + a_us * (span.begun_us - begun_us)
        width = max(2.0, a_us * span.lasted_us)
        note = f' <tspan fill="#666666">{escape(span.note)}</tspan>' if span.note else ""
        lines.append(f'<text x="{12 + INDENT * depth}" y="{y + 15}">{escape(span.name)}{note}</text>')
        colour = COLOURS[span.service]
        lines.append(f'<rect x="{x:.1f}" y="{y + 4}" width="{width:.1f}" height="{ROW - 8}" rx="2" fill="{colour}"/>')
        lines.append(f'<text x="{x + width + 5:.1f}" y="{y + 15}" fill="#444444">{told(span.lasted_us)}</text>')
    return "\n".join([*lines, "</svg>", ""])


def told(micros: int) -> str:
    """A length of time, for people."""
    return f"{micros / 1e6:.2f} s" if micros >= 1_000_000 else f"{micros / 1e3:.1f} ms"
