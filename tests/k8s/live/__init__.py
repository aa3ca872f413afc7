"""Drives the project on whatever cluster `kubectl` reaches, breaks what can be broken, and judges by the books."""
