"""Schemas of requests and responses, one module a resource, with the names of `api`."""
