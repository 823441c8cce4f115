"""Formats text for people."""
