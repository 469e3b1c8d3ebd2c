"""Loki Web: watch and steer a Loki Mode session."""

__version__ = "0.2.0"
