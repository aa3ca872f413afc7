"""The picture of a trace: who hangs below whom, and when."""

import xml.etree.ElementTree as ET

from tests.tools.waterfall import Span, rows, told, waterfall

SPANS = [
    Span("c", ("b", "elsewhere"), "device call", "pod-agent", 2_000, 500),
    Span("b", ("a",), "process", "pod-agent", 1_500, 2_000_000, "attempt <2>"),
    Span("d", ("a",), "mailbox wait", "pod-agent", 1_200, 300),
    Span("a", ("of the client",), "submit", "orchestrator", 1_000, 200),
]


def test_each_span_is_below_the_one_it_hangs_from_and_the_earlier_comes_first() -> None:
    assert [(depth, span.name) for depth, span in rows(SPANS)] == [
        (0, "submit"), (1, "mailbox wait"), (1, "process"), (2, "device call"),
    ]  # fmt: skip


def test_the_picture_has_a_row_for_each_with_its_length() -> None:
    picture = ET.fromstring(waterfall(SPANS, "a unit"))
    texts = ["".join(text.itertext()) for text in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert "process attempt <2>" in texts and "2.00 s" in texts and "0.5 ms" in texts
    assert told(999_999) == "1000.0 ms"
