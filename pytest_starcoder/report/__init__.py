"""The parts that all reports share."""
