"""Bags through the rules of the live node, without DDS and the same every time."""
