"""The only door to NATS: connect, provision, append, read, submit. `interface` is what the services see."""
