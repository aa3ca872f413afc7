"""Every message that crosses the bus or a device socket, as pydantic models, and the only place that builds or parses a subject."""
