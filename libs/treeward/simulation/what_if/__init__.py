"""What if something were lost: the live state, and the production services on a copy of it in virtual time."""
