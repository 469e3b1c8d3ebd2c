"""The agents of a session, and what can be done to them."""
