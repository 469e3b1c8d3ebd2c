"""Loki Web: watch and steer a Loki Mode session."""

import os

__version__ = "0.2.0"
ROOT = os.path.dirname(__path__[0])  # what has to be in the module path
