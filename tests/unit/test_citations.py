"""What code, tests and pages cite of the design and of the protocol is there, under that number or name."""

import re

from tests.mutants.rows import ROWS
from tests.mutants.rules import PROTOCOL as RULES
from tests.mutants.rules import rows_of
from tests.unit.test_repository import ROOT, tracked

DESIGN = (ROOT / "docs" / "design.md").read_text()
PROTOCOL = (ROOT / "docs" / "protocol.md").read_text()
CITING = {
    str(path.relative_to(ROOT)): path.read_text()
    for path in tracked("libs", "services", "schemas", "docs", "tests", "bench", "*.md")
    if path.suffix in (".py", ".md")
}
TO = r"(?:(?:,| to| and) (\d))?"


def cited(pattern: str) -> set[tuple[str, str]]:
    """(what is cited, where), of each group of the pattern that says something."""
    return {
        (" ".join(group.split()), path)
        for path, text in CITING.items()
        for match in re.finditer(pattern, text)
        for group in match.groups()
        if group
    }


def lost(found: set[tuple[str, str]], known: set[str]) -> set[tuple[str, str]]:
    assert len(found) > 10, "or the pattern does not see what it should"
    return {(what, path) for what, path in found if what not in known}


def test_each_section_that_is_cited_is_a_heading_of_the_design() -> None:
    headings = set(re.findall(r"^#{2,3} (\d(?:\.\d)?)\b", DESIGN, re.MULTILINE))
    assert {str(number) for number in range(1, 10)} <= headings
    assert (
        lost(cited(r"(?i:\bsections?)\s(\d+(?:\.\d)?)\b" + TO) | cited(r"\bDESIGN\s(\d+(?:\.\d)?)\b"), headings)
        == set()
    )


def test_what_is_cited_of_a_section_by_its_words_is_in_that_section() -> None:
    sections = dict(re.findall(r"^## (\d)\. (.*?)(?=^## |\Z)", DESIGN.lower(), re.MULTILINE | re.DOTALL))
    said = {
        (match[1], " ".join(match[2].split()), path)
        for path, text in CITING.items()
        for match in re.finditer(r"\bDESIGN section (\d), ([a-z][a-z\s]+)\)", text)
    }
    assert len(said) > 5
    assert {(number, words, path) for number, words, path in said if words not in sections[number]} == set()


def test_each_table_that_is_cited_is_a_heading_of_the_protocol() -> None:
    headings = set(re.findall(r"^### Table (\d):", PROTOCOL, re.MULTILINE))
    assert lost(cited(r"(?i:\btables?)\s(\d+)\b" + TO), headings) == set()


def test_each_rule_and_story_that_is_cited_is_named_by_the_protocol() -> None:
    rows = set(re.findall(r"^\| ([SR]\d+) \| \w", PROTOCOL, re.MULTILINE))
    stories = set(re.findall(r"^- \*\*(H\d+) \w", PROTOCOL, re.MULTILINE))
    assert rows == {f"S{number}" for number in range(1, 14)} | {f"R{number}" for number in range(1, 6)}
    assert stories == {f"H{number}" for number in range(1, 17)}
    assert lost(cited(r"\b([SHR]\d+)\b"), rows | stories) == set()


def test_the_protocol_says_of_each_rule_what_breaks_without_it_and_which_row_takes_it_out() -> None:
    said = dict(re.findall(r"^\| (\S+) \| [^|]+ \| ([^|]+) \|$", PROTOCOL.partition("## What breaks")[2], re.MULTILINE))
    assert set(said) - {"rule", "---"} == {rule.id for rule in RULES}
    wrong = {
        rule.id: said[rule.id]
        for rule in RULES
        if not (said[rule.id].startswith("none: ") if rule.none else said[rule.id] in rows_of(rule, ROWS))
    }
    assert wrong == {}
