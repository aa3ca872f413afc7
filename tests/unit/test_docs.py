"""The pages lead where they say, begin with a sentence, and name no `make` that does not exist."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from tests.unit.test_repository import ROOT, tracked

PAGES = tracked("*.md")
READ_BY_USERS = [page for page in PAGES if page.is_relative_to(ROOT / "docs") and "adr" not in page.parts]
COMMANDS = sorted(
    {
        command.strip()
        for page in PAGES
        for command in re.findall(
            r"(?:^    |^|`)(make [a-z][a-z0-9-]*(?: [A-Z]+=(?:\"[^\"]*\"|\S+?))*)(?=`|\s|$)",
            page.read_text(),
            re.MULTILINE,
        )
    }
)


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def links(page: Path) -> list[tuple[Path, str]]:
    found = re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)", page.read_text())
    return [((page.parent / path).resolve() if path else page, anchor) for path, anchor in found]


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def test_there_are_pages_links_and_commands_to_look_at() -> None:
    assert len(PAGES) > 40 and len(READ_BY_USERS) > 25
    assert sum(len(links(page)) for page in PAGES) > 60
    assert len(COMMANDS) > 15


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target, anchor in links(page):
        assert target.exists(), target
        assert not anchor or anchor in anchors(target), f"{target} has no {anchor}"


def test_every_page_that_anything_names_exists() -> None:
    mentioned = {
        (name(path), mention)
        for path in tracked("*.py", "*.md", "*.yaml", "*.toml", "Makefile", "Dockerfile")
        for mention in re.findall(r"\bdocs/[\w/-]+\.md\b", path.read_text())
    }
    assert len({mention for _, mention in mentioned}) > 20
    assert {mention for mention in mentioned if not (ROOT / mention[1]).exists()} == set()


@pytest.mark.parametrize("page", READ_BY_USERS, ids=name)
def test_a_page_begins_with_a_sentence_that_says_what_it_is_for(page: Path) -> None:
    title, empty, first = page.read_text().splitlines()[:3]
    assert title.startswith("# ")
    assert empty == ""
    assert re.match(r"[A-Z`\[]\S* \S+ ", first), first


def test_every_page_is_found_from_the_readme() -> None:
    found, ahead = set[Path](), [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        if page not in found and page.suffix == ".md" and page.exists():
            found.add(page)
            ahead += [target for target, _ in links(page)]
    lost = [name(page) for page in READ_BY_USERS if page not in found and "runbooks" not in page.parts]
    assert lost == []


@pytest.mark.parametrize("command", COMMANDS)
def test_make_knows_what_the_pages_ask_it_for(command: str) -> None:
    asked = subprocess.run([*shlex.split(command), "--dry-run"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert asked.returncode == 0, asked.stderr


@pytest.mark.parametrize(
    ("command", "runs"),
    [
        ("make simulate SEEDS=10000", "treeward.simulation --seeds 10000\n"),
        ("make simulate SEED=4711", "treeward.simulation --seed 4711\n"),
        ("make faults", "tests.faults --faults 1000 --seed 1\n"),
        ("make faults FAULTS=5 SEED=7", "tests.faults --faults 5 --seed 7\n"),
        ('make bench BENCH="path hot"', "bench.run path hot\n"),
        ("make supervision", "tests.supervision --resources 10000\n"),
    ],
)
def test_what_is_said_to_make_arrives(command: str, runs: str) -> None:
    asked = subprocess.run([*shlex.split(command), "--dry-run"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert runs in asked.stdout


def test_make_help_lists_everything_that_can_be_asked_for() -> None:
    (phony,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    asked = ["make", "--no-print-directory", "help"]  # these tests themselves are run by make
    said = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {line.split()[0] for line in said.splitlines()} == set(phony.split())
