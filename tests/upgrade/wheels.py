"""Two versions of the product, each a wheel in a virtual environment of its own."""

import io
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PREVIOUS = "d4f67ebe3"
"""The version before this one, until there are releases: a commit of this repository."""
PARTS = ("pyproject.toml", "README.md", "schemas", "libs", "services")
"""What a wheel is made of."""


@dataclass(frozen=True, slots=True)
class Installed:
    """A version that can be run."""

    version: str
    python: str
    """Its interpreter: programs are modules of it."""
    treeward: str
    """Its command."""


def is_there(revision: str) -> bool:
    """Whether the repository has a revision; a copy without its history has none."""
    command = ["git", "-C", str(ROOT), "cat-file", "-e", f"{revision}^{{commit}}"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def install(revision: str | None, folder: Path) -> Installed:
    """Build the wheel of a revision (None: the tree as it stands), and install it where nothing else of ours is.

    Its version tells the two apart: `0.1.0+<revision>`. The libraries that it needs are those that are installed here.
    Raises CalledProcessError, and AssertionError with what a tool said.
    """
    source = folder / "source"
    _take(revision, source)
    project = source / "pyproject.toml"
    text = project.read_text()
    declared = next(line for line in text.splitlines() if line.startswith("version = "))
    version = declared.split('"')[1] + f"+{revision or 'tree'}"
    project.write_text(text.replace(declared, f'version = "{version}"', 1))
    _run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder, cwd=source)
    (wheel,) = folder.glob("*.whl")
    environment = folder / "venv"
    venv.create(environment, symlinks=True)
    python = environment / "bin" / "python"
    _run(sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", "--no-compile", wheel)
    (packages,) = environment.glob("lib/python3*/site-packages")
    # A path in a .pth is searched, but its own .pth files are not read: the tree that is installed there stays out.
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    said = _run(
        python, "-P", "-c",
        "import importlib.metadata, treeward.runtime.program as module;"
        "print(importlib.metadata.version('treeward'), module.__file__)",
    ).split()  # fmt: skip
    assert said[0] == version and Path(said[1]).is_relative_to(environment), said
    return Installed(version, str(python), str(environment / "bin" / "treeward"))


def _take(revision: str | None, source: Path) -> None:
    if revision is None:
        source.mkdir(parents=True)
        for part in PARTS:
            if (ROOT / part).is_dir():
                shutil.copytree(ROOT / part, source / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / part, source / part)
        return
    command = ["git", "-C", str(ROOT), "archive", "--format=tar", revision, *PARTS]
    archive = subprocess.run(command, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(source, filter="data")


def _run(*command: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
