"""What a session remembers: episodes, patterns, skills and the search in them."""
