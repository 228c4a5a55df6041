"""Training with Lightning: data, the module, its noise and its optimiser."""
