"""The table of docs/supervision.md names tests that exist, and every one of `test_supervision_semantics`."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_row_of_the_table_names_a_test_that_exists() -> None:
    rows = re.findall(r"^\|.*\| `(test_[a-z_]+)` \|$", (ROOT / "docs" / "supervision.md").read_text(), re.MULTILINE)
    tests = {path: path.read_text() for path in (ROOT / "tests").rglob("test_*.py")}
    code = {
        path.name: re.findall(r"^(?:async )?def (test_[a-z_]+)", text, re.MULTILINE) for path, text in tests.items()
    }
    assert set(rows) <= {name for names in code.values() for name in names}
    assert set(code["test_supervision_semantics.py"]) <= set(rows)
    assert len(rows) == len(set(rows)) >= 20
