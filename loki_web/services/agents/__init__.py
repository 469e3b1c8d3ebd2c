"""The agents of a session: their records, and how to end, pause and resume them."""
