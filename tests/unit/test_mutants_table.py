"""The table of safety lines fits the code and the page that a whole run has written; no row is tried here."""

import re
from collections import Counter
from pathlib import Path

from tests.mutants.rows import ROWS
from tests.mutants.rules import RULES, rows_of

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "mutants.md"


def test_each_row_takes_out_what_is_there_once() -> None:
    """Whoever changes a safety line renews its row in tests/mutants, and asks it: python -m tests.mutants "<name>"."""
    found = {row.name: (ROOT / row.file).read_text(encoding="utf-8").count(row.old) for row in ROWS}
    assert {name: count for name, count in found.items() if count != 1} == {}
    assert [row.name for row in ROWS if row.old == row.new] == []


def test_each_test_that_a_row_names_exists() -> None:
    assert [
        (row.name, test) for row in ROWS for test in row.tests if not (ROOT / test.partition("::")[0]).exists()
    ] == []


def test_each_rule_has_rows_or_says_why_not_and_each_row_has_rules() -> None:
    assert [rule.id for rule in RULES if bool(rows_of(rule, ROWS)) == bool(rule.none)] == []
    known = {rule.id for rule in RULES}
    assert [(row.name, rule) for row in ROWS for rule in row.rule.split() if rule not in known] == []
    assert [row.name for row in ROWS if not row.rule] == []


def page_rows() -> list[tuple[str, str]]:
    table = PAGE.read_text(encoding="utf-8").partition("| row |")[2].partition("\n\n")[0]
    return re.findall(r"^\| (.+?) \| (.+?) \| `", table, re.MULTILINE)


def test_the_page_names_rows_that_exist_in_their_order() -> None:
    """It is of the run that it names: rows that came later are in the next one, which `make mutants` writes."""
    assert [name for name, count in Counter(row.name for row in ROWS).items() if count > 1] == []
    rows = page_rows()
    assert rows
    assert rows == [row for row in ((row.name, row.rule) for row in ROWS) if row in set(rows)], "write it: make mutants"


def test_the_page_has_no_survivor_that_it_does_not_name() -> None:
    page = PAGE.read_text(encoding="utf-8")
    survivors = page.count("| **nothing** |")
    assert f"{len(page_rows())} rows:" in page
    assert f" {survivors} by nothing" in page
