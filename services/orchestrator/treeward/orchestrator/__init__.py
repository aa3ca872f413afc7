"""The service that always takes work: dispatchers of its share of zones, the contended claim of root, `tw.api`."""
