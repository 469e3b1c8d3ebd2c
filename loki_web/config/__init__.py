"""The settings of the LOKI_* variables: parsers, checks and defaults."""
