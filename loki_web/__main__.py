"""`python -m loki_web`: the command line; without arguments, `serve`."""

import os
import sys

from loki_web import ROOT

if sys.path[0] == os.getcwd() != ROOT:
    del sys.path[0]  # the project's folder: nothing in it may hide a library

from loki_web.cli import main

main(sys.argv[1:] or ["serve"])
