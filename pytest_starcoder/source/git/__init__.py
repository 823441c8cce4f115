"""Queries to git: which files it tracks, what changed, and who wrote a line."""
