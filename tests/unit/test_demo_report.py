"""What the demo says at its end when the books are wrong."""

from io import StringIO

from rich.console import Console

from treeward.cli import demo_report
from treeward.runtime.judge import Books, Rule, Submitted, judge


def test_a_violation_is_shown_with_its_row_and_makes_the_report_not_ok() -> None:
    judgement = judge(Books([Submitted("zone-a", "vm.web-1", 7, 0.0)], [], [], []))
    written = StringIO()
    demo_report.show(Console(file=written, width=200, markup=False), judgement)
    assert "unanswered: zone-a.vm.web-1 #7 has no outcome" in written.getvalue()
    assert "MUST BE 0" in written.getvalue()
    report = demo_report.as_json(judgement, seed=1, duration_s=1.0, kill={})
    assert report["ok"] is False
    assert report["must_be_zero"] == {rule.value: int(rule is Rule.UNANSWERED) for rule in Rule}


def test_every_rule_has_a_line_of_its_own() -> None:
    assert set(demo_report.MUST_BE_ZERO) == set(Rule)
