"""A simulated session: a process that writes its own `.loki/` folder as the CLI does.

The server does not know about it and serves the folder like any other.
"""
