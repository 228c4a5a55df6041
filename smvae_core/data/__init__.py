"""Recorded logs: the Vision&Touch format, its conversion into a cache, and reading the cache."""
