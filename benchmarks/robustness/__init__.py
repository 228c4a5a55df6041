"""What the node survives: malformed messages, hours of work."""
