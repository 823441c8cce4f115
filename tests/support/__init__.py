"""What the tests stand on: a tiny model, real servers, and servers that misbehave on demand."""
