"""The log of a session: choice of the file, parsing of its lines, entries for clients."""
