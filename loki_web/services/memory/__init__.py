"""The memory of a session: episodes, patterns, skills, and search in them."""
