"""`python -m tests.explain > docs/explain.md`."""

import sys

from tests.explain.page import page

sys.stdout.write(page())
