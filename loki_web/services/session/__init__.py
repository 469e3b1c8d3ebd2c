"""The session: its state, status, processes and control."""
