"""Doubles of servers, sample data and fixtures that several test modules share."""
