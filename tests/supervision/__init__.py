"""A whole pod that crashes at once, and one resource that cannot be helped: `python -m tests.supervision`."""
