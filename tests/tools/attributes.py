"""The table of attributes in docs/tracing.md."""

import re

from tests.tools.built import ROOT

ANY = {"any"}


def documented() -> dict[str, set[str]]:
    """Attribute > the values that it may have; `ANY`: as many as there are units or resources."""
    page = (ROOT / "docs" / "tracing.md").read_text()
    return {
        name: {value.strip() for value in values.split(",")}
        for name, values in re.findall(r"^\| `(\w+\.[\w.]+)` \| (.+?) \|", page, re.MULTILINE)
    }
