"""The REST API: one module with a blueprint for each resource.

The docstring of a module is the description of its tag in `/docs`.
"""
