"""Parsing pids, testing whether processes are alive, and sending SIGTERM."""

import os
import time
from typing import Any

import pytest

from loki_web.services.session import processes
from tests.support.children import Children, still_lives, was_terminated


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
def test_parse_pid(value: Any, pid: int | None) -> None:
    assert processes.parse_pid(value) == pid


def test_only_a_process_that_runs_is_alive(children: Children) -> None:
    assert processes.is_alive(children.sleeper().pid)
    assert not processes.is_alive(children.zombie())
    assert not processes.is_alive(children.dead())
    assert not processes.is_alive(None)


def test_a_process_of_somebody_else_is_alive() -> None:
    assert processes.is_alive(1)


def test_the_recorded_process_is_terminated(children: Children) -> None:
    child = children.sleeper()
    assert processes.terminate(child.pid, written_at=time.time())
    assert was_terminated(child)


@pytest.mark.parametrize(
    "recorded",
    [
        {"written_at": -86400.0},
        {"written_at": 0.0, "recorded_start": -86400.0},
        {"written_at": -3600.0, "recorded_start": 0.0},
    ],
)
def test_a_process_that_began_after_the_record_is_another_one(
    children: Children, recorded: dict[str, float]
) -> None:
    child = children.sleeper()
    moments = {name: time.time() + offset for name, offset in recorded.items()}
    assert not processes.terminate(child.pid, **moments)
    assert still_lives(child)


def test_a_start_that_was_recorded_with_some_delay_is_the_same_process(children: Children) -> None:
    child = children.sleeper()
    moment = time.time()
    assert processes.terminate(child.pid, written_at=moment, recorded_start=moment - 20)


def test_the_server_and_what_is_above_it_are_never_signalled() -> None:
    for pid in (os.getpid(), os.getppid(), 1):
        assert not processes.terminate(pid, written_at=time.time() + 60)


def test_nothing_is_signalled_where_nothing_lives(children: Children) -> None:
    for pid in (children.zombie(), children.dead(), None):
        assert not processes.terminate(pid, written_at=time.time())


def test_the_server_is_known_by_a_process_of_its_own() -> None:
    assert processes.is_own(processes.get_server_pid())
