"""The registered projects of this user."""
