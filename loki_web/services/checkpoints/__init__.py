"""Checkpoints of the state of a session."""
