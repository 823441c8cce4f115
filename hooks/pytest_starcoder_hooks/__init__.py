"""The hooks that git runs; the work is done in `pytest_starcoder`."""
