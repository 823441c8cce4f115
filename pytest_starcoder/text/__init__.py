"""Plain text in, plain text out: sentinels, and what may reach a terminal."""
