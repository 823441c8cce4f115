"""The parts of a pytest session that features share."""
