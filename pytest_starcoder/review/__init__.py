"""Turns a change into findings."""
