"""Robot logs in the layout of Vision&Touch, and the cache that training reads."""
