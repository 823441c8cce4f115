"""Access to a pytest session, shared by the features that join it."""
