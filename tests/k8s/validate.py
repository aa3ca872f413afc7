"""Every overlay against the schemas of every Kubernetes from 1.28 to 1.37, strictly: `make k8s-check`.

The validator brings the schemas with it; it has an environment of its own, since it wants other versions than we do.
A kind that it has no schema for counts as a failure.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.k8s.rendered import NAMES, render

VERSIONS = tuple(f"1.{minor}.0" for minor in range(28, 38))


def main(validator: str) -> int:
    """Validate all; the number of those that failed."""
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for overlay in NAMES:
            file = Path(folder) / f"{overlay}.yaml"
            file.write_text(render(overlay))
            count = file.read_text().count("\nkind: ")
            for version in VERSIONS:
                command = [validator, "--strict", "--kubernetes-version", version, str(file)]
                done = subprocess.run(command, capture_output=True, text=True, check=False)
                lines = (done.stdout + done.stderr).splitlines()
                passed = sum(" passed for " in line for line in lines)
                fine = done.returncode == 0 and passed == count
                failed += not fine
                print(f"{'ok' if fine else 'WRONG':<6} {overlay:<14} {version:<8} {passed} of {count} objects")
                if not fine:
                    print("\n".join(line for line in lines if " passed for " not in line))
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
