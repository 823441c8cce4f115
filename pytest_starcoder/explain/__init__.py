"""Turns a failed test into an explanation."""
