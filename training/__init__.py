"""Offline work from a checkout: simulate, convert, train, evaluate (`python -m training.train`)."""
