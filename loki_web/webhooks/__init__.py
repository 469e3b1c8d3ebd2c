"""Webhooks: a message to an address of the administrator for each event that a person waits for."""
