"""The device protocol in front of any program: keeps the record that fences, and carries calls out by an adapter."""
