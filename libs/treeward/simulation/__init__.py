"""The whole control plane in one process, in virtual time, with faults that a seed decides; ships to users."""
