"""For tools that read this file. The description of the package is in pyproject.toml."""

from setuptools import setup

setup()
