"""Parsing pids, and what is sent no signal whatever a file says."""

import os
from dataclasses import replace
from typing import Any

import pytest

from loki_web.services.session import processes
from loki_web.store.process import Process, read_process
from tests.support.children import Children, still_lives, was_terminated
from tests.support.rights import need_root


@pytest.mark.parametrize(
    ("value", "pid"),
    [
        *((12345, 12345), ("12345", 12345), (" 12345\n", 12345), (2**31 - 1, 2**31 - 1)),
        *((0, None), (1, None), (-1, None), ("-1", None), ("0", None), ("1", None)),
        *((1.5, None), (12345.0, None), (True, None), (False, None), (None, None)),
        *(("12abc", None), ("", None), ("+5", None), ("1_000", None), ("１２３", None)),
        *((2**31, None), (10**30, None), ("9" * 400, None), ([], None), ({"pid": 5}, None)),
    ],
)
def test_only_decimal_numbers_in_range_are_pids(value: Any, pid: int | None) -> None:
    assert processes.parse_pid(value) == pid


def known(pid: int) -> Process:
    found = read_process(pid)
    assert found is not None
    return found


def test_the_server_is_known_by_a_process_of_its_own() -> None:
    assert processes.is_server(known(processes.get_server_pid()))


SERVERS = [
    ("python", "-m", "gunicorn", "-c", "python:loki_web.server.conf", "loki_web.app:create_app()"),
    ("python", "-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:app"),
    ("python", "-m", "gunicorn", "wsgi:sidecar"),
    ("/venv/bin/python", "/venv/bin/loki-web", "serve", "--port", "1234"),
    ("python", "-m", "loki_web", "sidecar"),
]


@pytest.mark.parametrize("command", SERVERS)
def test_another_loki_web_is_no_session_and_is_not_signalled(
    children: Children, command: tuple[str, ...]
) -> None:
    other = children.sleeper()
    found = replace(known(other.pid), command=command)
    assert processes.is_server(found)
    assert processes.send_term(found, sessions=(), others=True)
    assert still_lives(other)


@pytest.mark.parametrize(
    "command",
    [
        ("bash", "/tmp/loki-run-4100.sh"),
        ("python", "-m", "loki_web.demo"),
        ("claude", "serve"),
        ("sleep", "600"),
    ],
)
def test_a_process_that_runs_a_session_is_signalled(
    children: Children, command: tuple[str, ...]
) -> None:
    child = children.sleeper()
    found = replace(known(child.pid), command=command)
    assert processes.send_term(found, sessions=(), others=False) is None
    assert was_terminated(child)


def test_the_server_and_what_is_above_it_are_never_signalled() -> None:
    for pid in (os.getpid(), os.getppid(), 1):
        assert processes.send_term(known(pid), sessions=(), others=True)


@pytest.mark.parametrize(("command", "is_sent"), [(("vim",), False), (("bash", "run.sh"), True)])
def test_a_program_of_a_terminal_is_not_signalled_unless_it_is_a_runner(
    children: Children, command: tuple[str, ...], is_sent: bool
) -> None:
    child = children.in_terminal()
    found = replace(known(child.pid), command=command)
    assert found.has_terminal
    reason = processes.send_term(found, sessions=[os.getpid()], others=False)
    assert reason == (None if is_sent else f"process {found.pid} belongs to a terminal")
    assert was_terminated(child) if is_sent else still_lives(child)


def test_a_process_of_another_user_needs_the_setting(children: Children) -> None:
    need_root()
    child = children.of_another_user()
    reason = processes.send_term(known(child.pid), sessions=(), others=False)
    assert reason == f"process {child.pid} belongs to another user"
    assert still_lives(child)
    assert processes.send_term(known(child.pid), sessions=(), others=True) is None
    assert was_terminated(child)
