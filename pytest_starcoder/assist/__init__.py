"""Answers questions about code, and completes and edits it."""
