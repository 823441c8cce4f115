"""Asks models: one client, many backends."""
