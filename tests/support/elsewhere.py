"""Servers that run where a test does not: in another namespace, or as another user."""

import json
import sys
from pathlib import Path
from typing import Any

from tests.support.places import Place
from tests.support.programs import output_of

_ROOT = Path(__file__).parents[2]
_BEGINNING = """
import json, os, signal, subprocess, sys
from loki_web.app import create_app
client = create_app().test_client()
def get(path): return client.get(path).get_json()
def post(path): return client.post(path).get_json()
def tell(*answers): print(json.dumps(answers))
"""
NAMESPACE = ("unshare", "--pid", "--fork", "--mount-proc")


def ask_elsewhere(place: Place, code: str, *within: str, **settings: str) -> Any:
    """Run Python code with a client of a server on `place`; return what it passes to `tell`.

    :param code: calls `get`, `post` and `tell`.
    :param within: a command that runs another command elsewhere.
    """
    command = [*within, sys.executable, "-c", _BEGINNING + code]
    programs = "/usr/bin:/bin:/usr/sbin:/sbin"
    environment = place.environment(PYTHONPATH=str(_ROOT), PATH=programs, **settings)
    output = output_of(command, cwd=place.loki.parent, env=environment)
    return json.loads(output.splitlines()[-1])
