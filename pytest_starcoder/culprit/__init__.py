"""Names the change that broke a test, by undoing changes in memory."""
