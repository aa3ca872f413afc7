"""What every benchmark stands on: servers and services as processes, a lean client, figures and their report."""
