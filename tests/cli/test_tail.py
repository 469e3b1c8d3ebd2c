"""`loki-web tail` shows a running server's feed, and ends when it is told to."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any

import pytest
from click.testing import CliRunner

from loki_web.cli import loki_web
from loki_web.demo.places import places_in
from tests.cli.commands import COMMAND, answering, is_one_complaint, run
from tests.support import accounts, prepared
from tests.support.places import Place
from tests.support.servers import Server, environment, free_port, running, serving
from tests.support.waiting import PATIENCE_SECONDS


class Tail:
    """A running `tail`, its lines as they come."""

    def __init__(self, process: prepared.Process, output: IO[str], errors: IO[str]) -> None:
        self.process, self.output, self.errors = process, output, errors

    def line(self) -> str:
        return self.output.readline()

    def until(self, wanted: Callable[[str], bool]) -> str:
        """The first line like that; the test's time limit ends a wait for one that never comes."""
        while line := self.line():
            if wanted(line):
                return line
        raise AssertionError("it ended before")

    def interrupt(self) -> tuple[int, str]:
        """Ctrl-C: the exit code, and all of standard error."""
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(timeout=PATIENCE_SECONDS)
        return code, self.errors.read()


@contextmanager
def tailing(place: Place, *arguments: str, **settings: str) -> Iterator[Tail]:
    (output, output_end), (errors, errors_end) = os.pipe(), os.pipe()
    with open(os.devnull) as nothing:
        process = prepared.Process(
            "loki_web", "tail", *arguments, environment=environment(place, **settings),
            streams=(nothing.fileno(), output_end, errors_end),
        )  # fmt: skip
    os.close(output_end)
    os.close(errors_end)
    with open(output) as lines, open(errors) as complaints:
        try:
            yield Tail(process, lines, complaints)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait(timeout=PATIENCE_SECONDS)


@pytest.fixture
def server(place: Place) -> Iterator[Server]:
    with serving(place) as server:
        yield server


def test_events_are_shown_until_ctrl_c(place: Place, server: Server) -> None:
    with tailing(place, server.url) as tail:
        assert "connected" in tail.line()
        place.write("queue/pending.json", [{"id": "task-1", "title": "Count the apples"}])
        shown = tail.until(lambda line: "task_created" in line)
        assert "task-1 pending Count the apples" in shown
        assert tail.interrupt() == (0, "")


def test_only_named_channels_are_shown(place: Place, server: Server) -> None:
    with tailing(place, server.url, "--json", "-c", "tasks", "-c", "notifications") as tail:
        assert json.loads(tail.line())["data"]["channels"] == ["notifications", "tasks"]
        place.write("notifications/active.json", {"notifications": [{"id": "n", "message": "m"}]})
        assert json.loads(tail.line())["type"] == "notification"


def test_channels_in_one_option(place: Place, server: Server) -> None:
    with tailing(place, server.url, "--json", "-c", "tasks, logs,", "-c", "cost") as tail:
        assert json.loads(tail.line())["data"]["channels"] == ["cost", "logs", "tasks"]


def test_a_living_session_is_followed_with_a_line_for_each_message(
    place: Place, tmp_path: Any
) -> None:
    folder = tmp_path / "demo"
    folder.mkdir()
    writer = subprocess.Popen([sys.executable, "-m", "loki_web.demo", str(folder), "40"])
    shown = Place(places_in(folder).home, places_in(folder).loki)
    try:
        with serving(shown) as server, tailing(shown, server.url) as tail:
            missing = {"connected", "status", "agents", "log", "task_moved"}
            while missing:
                clock, kind, *_ = tail.line().split()
                assert time.strptime(clock, "%H:%M:%S")
                missing.discard(kind)
            assert tail.interrupt()[0] == 0
    finally:
        writer.terminate()
        writer.wait()


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_texts_of_others_have_no_power_over_the_terminal(
    place: Place, server: Server, form: list[str]
) -> None:
    with tailing(place, server.url, *form) as tail:
        tail.line()
        title = "a\x1b[31mb\x9bc\x7f\u202e\nd"
        place.write("queue/pending.json", [{"id": "x", "title": title}])
        shown = tail.until(lambda line: "task_created" in line)
        assert shown.rstrip("\n").isprintable()


def test_a_server_that_comes_back_is_followed_again(place: Place) -> None:
    port = str(free_port())
    settings = {"LOKI_DASHBOARD_PORT": port, "LOKI_WORKERS": "1"}
    command, host = [*COMMAND, "serve"], f"127.0.0.1:{port}"
    with tailing(place, "-c", "tasks", **settings) as tail:  # where the settings say
        for number in range(2):
            with running(command, environment(place, **settings), host):
                tail.until(lambda line: "connected" in line)
                place.write("queue/pending.json", [{"id": f"t{number}"}])
                tail.until(lambda line, number=number: f"t{number}" in line)  # type: ignore[misc]
        code, errors = tail.interrupt()
        assert code == 0
        assert all("no connection" in line for line in errors.splitlines())


def test_the_token_comes_from_the_variable_or_the_option(place: Place) -> None:
    accounts.everybody(place)
    with serving(place, LOKI_ENTERPRISE_AUTH="true") as server:
        token = accounts.raw("viewer")
        with tailing(place, server.url, LOKI_TOKEN=token) as tail:
            assert "connected" in tail.line()
        with tailing(place, server.url, "--token", token) as tail:
            assert "connected" in tail.line()
        with tailing(place, server.url, LOKI_TOKEN=f"{token}\r\n") as tail:
            assert "connected" in tail.line()
        for settings in ({}, {"LOKI_TOKEN": accounts.raw("revoked")}):
            assert is_one_complaint(run(place, "tail", server.url, settings=settings))


@pytest.mark.parametrize(
    "settings",
    [
        {"LOKI_DASHBOARD_HOST": "0.0.0.0"},
        {"LOKI_DIR": __file__},
        {"LOKI_AUDIT_REQUIRED": "true", "LOKI_AUDIT_DISABLED": "true"},
    ],
)
def test_only_the_address_of_the_settings_matters(settings: dict[str, str]) -> None:
    with answering(b'HTTP/1.1 403 No\r\n\r\n{"detail": "Not for you"}') as url:
        port = {"LOKI_DASHBOARD_PORT": url.rpartition(":")[2]}
        done = CliRunner().invoke(loki_web, ["tail"], env={**settings, **port})
    assert (done.exit_code, done.output) == (1, "Error: Not for you\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["ftp://localhost"],
        ["http://"],
        ["http://localhost:x"],
        ["http://a..b"],
        ["http://a b"],
        ["http://localhost", "-c", "bogus"],
        ["http://localhost", "-c", "tasks,bogus"],
        ["http://localhost", "--cacert", "/no/such.pem"],
        ["https://localhost", "--cacert", __file__],
        ["http://localhost", "--token", "a b"],
        ["http://localhost", "--token", "a\nb"],
        ["http://localhost", "--token", "é"],
    ],
)
def test_a_wrong_argument_is_one_line(place: Place, arguments: list[str]) -> None:
    assert is_one_complaint(run(place, "tail", *arguments))
