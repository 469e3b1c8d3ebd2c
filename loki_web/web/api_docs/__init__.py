"""The description of the API for people: /docs."""
