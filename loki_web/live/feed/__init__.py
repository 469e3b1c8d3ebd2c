"""What changes in a session, as messages of channels."""
