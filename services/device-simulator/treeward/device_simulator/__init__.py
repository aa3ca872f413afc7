"""A simulated data centre that speaks the device protocol and keeps the books that judge its users."""
