"""Turns code into tests worth keeping."""
