"""A small session that lives: its writer does to files what the real programs do.

It writes a `.loki/` of its own, as the CLI would; the server knows nothing of it and shows it.
"""
