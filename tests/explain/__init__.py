"""Reasons to wait, each brought about by the services themselves, and what `explain` says of it."""
