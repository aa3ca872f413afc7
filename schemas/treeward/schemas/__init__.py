"""Every message that crosses the bus or a device socket, and the only place that builds or parses a subject."""
