"""Loki Web: watch and steer a Loki Mode session."""

__version__ = "0.1.0"
