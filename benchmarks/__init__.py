"""Measure the figures of the README and the documents."""
