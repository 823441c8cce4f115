"""The values that travel between the parts: frozen, comparable, without behaviour of their own; one module a topic."""
