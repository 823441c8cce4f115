"""Turns a failed test into a change with which it passes."""
