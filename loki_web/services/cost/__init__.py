"""Tokens, USD, the budget and the context window."""
