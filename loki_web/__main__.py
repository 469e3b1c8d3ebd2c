"""`python -m loki_web`: the command line; without arguments, `serve`."""

import sys

from loki_web.cli import main

main(sys.argv[1:] or ["serve"])
