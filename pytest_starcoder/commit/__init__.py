"""What joins a commit when a hook, CI or a person asks for a review: which change it is, and what is kept of it."""
