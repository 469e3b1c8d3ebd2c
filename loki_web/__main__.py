"""`python -m loki_web`: the command line; without arguments, `serve`."""

import os
import sys

from loki_web import ROOT

try:
    if sys.path[0] == os.getcwd() != ROOT:
        del sys.path[0]  # the project's folder: nothing in it may hide a library
except FileNotFoundError:  # the folder has been deleted: `main` reports it
    pass

from loki_web.cli import main

main(sys.argv[1:] or ["serve"])
