"""The log of a session: which file it is, and what its lines say."""
