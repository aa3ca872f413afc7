"""The alert rules, judged by Prometheus's own checker: each one fires when it must, and none without need."""

import subprocess
from pathlib import Path

from tests.tools.built import ROOT, needs, tool

FOLDER = ROOT / "k8s" / "components" / "monitoring"
RULES, CASES = "treeward.rules.yaml", "treeward.rules.test.yaml"
pytestmark = needs("promtool", "`make tools` gets it from Debian's package prometheus")


def promtool(*arguments: str, folder: Path = FOLDER) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [tool("promtool"), *arguments], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


def test_the_rules_are_rules_and_each_fires_and_none_without_need() -> None:
    checked = promtool("check", "rules", RULES)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    fired = promtool("test", "rules", CASES)
    assert fired.returncode == 0, fired.stdout + fired.stderr


def test_a_rule_that_never_fires_is_found_out(tmp_path: Path) -> None:
    """The cases are worth something only if they fail with a rule that says nothing."""
    text = (FOLDER / RULES).read_text()
    assert "> 300" in text
    (tmp_path / RULES).write_text(text.replace("> 300", "> 300000"))
    (tmp_path / CASES).write_text((FOLDER / CASES).read_text())
    done = promtool("test", "rules", CASES, folder=tmp_path)
    assert done.returncode != 0 and "TreewardUnitInDoubtForLong" in done.stdout + done.stderr
