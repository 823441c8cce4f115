"""Removes secrets from texts."""
