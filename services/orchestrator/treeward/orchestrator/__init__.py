"""The service that always takes work: dispatchers of the zones dealt to it, the contended claim of root, and `tw.api`."""
