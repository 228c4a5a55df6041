"""A trained model at work on one observation after the other."""
