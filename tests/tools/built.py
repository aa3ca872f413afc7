"""Where the tools are that are built or installed for the tests alone, and what to say when one is not there."""

import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".tools" / "bin"


def found(name: str) -> str | None:
    """The program as `make tools` built it, or one on the PATH."""
    built = FOLDER / name
    return str(built) if built.exists() else shutil.which(name)


def needs(name: str, how: str) -> pytest.MarkDecorator:
    """Skips where the tool is not to be had, and says how to get it."""
    return pytest.mark.skipif(found(name) is None, reason=f"{name} is not there: {how}")


def tool(name: str) -> str:
    """The program; only for tests marked with `needs`."""
    path = found(name)
    assert path is not None, f"{name} is not there"
    return path
