"""From one version to another while the work goes on: every program is replaced in turn, and the books judge."""
