"""Reads the channels and turns changes into messages."""
