"""Reads and changes source code as text and trees; runs nothing."""
