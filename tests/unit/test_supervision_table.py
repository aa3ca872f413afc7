"""The table of docs/supervision.md and the tests of `test_supervision_semantics` name one another."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_row_of_the_table_names_a_test_that_exists() -> None:
    rows = re.findall(r"^\|.*\| `(test_[a-z_]+)` \|$", (ROOT / "docs" / "supervision.md").read_text(), re.MULTILINE)
    code = (ROOT / "tests" / "unit" / "test_supervision_semantics.py").read_text()
    assert sorted(rows) == sorted(re.findall(r"^def (test_[a-z_]+)", code, re.MULTILINE))
