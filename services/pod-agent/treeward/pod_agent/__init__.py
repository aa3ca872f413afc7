"""The service that owns pods: their processes, and the way to their devices."""
