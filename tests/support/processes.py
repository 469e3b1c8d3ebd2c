"""Processes of `multiprocessing` that are forked after the imports, which are most of a start."""

import multiprocessing
from multiprocessing.context import ForkServerContext

PROCESSES: ForkServerContext = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["loki_web.app", "tests.support.places", "pytest"])
