"""What must hold of the repository as a whole."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def tracked(*patterns: str) -> list[Path]:
    output = subprocess.run(["git", "ls-files", "-z", *patterns], cwd=ROOT, capture_output=True, check=True, text=True)
    return [ROOT / name for name in output.stdout.split("\0") if name and (ROOT / name).exists()]


def test_nothing_hides_the_other_roots_of_the_namespace() -> None:
    assert [path for path in tracked("*.py") if path.parts[-2:] == ("treeward", "__init__.py")] == []


def test_the_lock_file_pins_hashes_and_names_no_package_source() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert "--hash=sha256:" in lock
    assert re.findall(r"https?://|--(?:extra-)?index-url|--find-links", lock) == []


def test_every_requirement_of_the_lock_has_a_hash() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    for number, line in enumerate(lines):
        if re.match(r"^[a-z0-9]", line):
            assert line.rstrip().endswith("\\") and "--hash=" in lines[number + 1], line


def test_modules_stay_short_enough_to_explain() -> None:
    lines = {path.relative_to(ROOT): len(path.read_text().splitlines()) for path in tracked("*.py")}
    assert {
        str(path): count for path, count in lines.items() if count > (600 if path.parts[0] == "tests" else 420)
    } == {}


def test_no_module_of_ours_is_mocked() -> None:
    found = [
        str(path)
        for path in tracked("tests/*.py")
        if re.search(r"unittest\.mock|monkeypatch\.setattr", path.read_text()) and path != Path(__file__)
    ]
    assert found == []
