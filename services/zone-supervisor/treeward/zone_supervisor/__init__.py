"""The service that owns zones: what is not placed, who is where, and who owns each pod."""
