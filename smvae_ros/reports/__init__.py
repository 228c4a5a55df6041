"""Pages and figures of what was recorded or evaluated."""
