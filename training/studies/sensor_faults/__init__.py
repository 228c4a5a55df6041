"""How soon and how surely sensor health finds injected faults."""
