"""Runs other people's code: tests, candidate changes, programs."""
