"""`python -m loki_web` serves; with words after it, it is the command line."""

import sys

from loki_web.cli import main

main(sys.argv[1:] or ["serve"])
