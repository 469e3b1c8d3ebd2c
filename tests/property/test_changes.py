"""After any changes of files, each answer equals the answer of a server that has just started."""

import logging
import os
import shutil
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from loki_web.services.session.processes import get_server_pid
from tests.property.changes import CHANGES, Change, set_time
from tests.property.test_damage import ADDED
from tests.support import answers, places
from tests.support.places import VARIANTS, Place
from tests.support.processes import PROCESSES
from tests.support.routes import SESSION_METRICS

Answer = tuple[int, bytes]
_EXAMPLES = int(os.environ.get("LOKI_TEST_EXAMPLES", "5"))  # each takes a few seconds
_IDS = 2  # of each resource, the first that are listed
# Examples are not shrunk or repeated, because the servers have cached earlier states.
_PROFILE = settings(
    deadline=None, phases=[Phase.explicit, Phase.generate], database=None, print_blob=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip


def ask(app: Flask, paths: list[str]) -> list[Answer]:
    """Return the answers, without the number by which a server without a PID file names itself."""
    client, own = app.test_client(), b'"pid":%d,' % get_server_pid()
    responses = (client.get(path) for path in paths)
    return [(answer.status_code, answer.get_data().replace(own, b"")) for answer in responses]


def serve(pipe: Connection, place: Place, watch: str) -> None:
    """Answer requests with one application in another process until an empty list arrives."""
    app = place.app(LOKI_WATCH=watch)
    while paths := pipe.recv():
        pipe.send(ask(app, paths))


@dataclass
class Servers:
    """Applications that run during all changes, two in this process and two in others."""

    place: Place
    pristine: Path
    outside: Path
    apps: list[Flask]
    others: list[Connection]
    threads: ThreadPoolExecutor

    def restore(self) -> None:
        """Restore all files by replacing the folders."""
        shutil.rmtree(self.outside, ignore_errors=True)
        self.outside.mkdir()
        for entry in self.pristine.iterdir():
            place = self.place.home / entry.name
            place.unlink() if place.is_symlink() else shutil.rmtree(place)
            shutil.copytree(entry, place, symlinks=True)

    def roots(self) -> list[Path]:
        return [self.place.loki, self.place.home / ".loki"]

    def below(self, path: Path) -> Path:
        return path.relative_to(self.place.home)

    def paths(self, app: Flask) -> list[str]:
        """List the paths that an application answers for the current files."""
        client = app.test_client()
        paths = [SESSION_METRICS]
        for template in answers.gets():
            if "{" not in template:
                paths.append(template)
                continue
            with suppress(AssertionError):
                paths += list(answers.addresses(client.get, template))[:_IDS]
        return paths

    def ask_meanwhile(self, paths: list[str]) -> Any:
        """Send requests to all applications. Return a function that waits for the answers."""
        for other in self.others:
            other.send(paths)
        futures = [self.threads.submit(ask, app, paths) for app in self.apps for _ in range(2)]

        def wait() -> None:
            for other in self.others:
                other.recv()
            for future in futures:
                future.result()

        return wait

    def check(self, paths: list[str], happened: Any) -> None:
        for other in self.others:
            other.send(paths)
        fresh = ask(self.place.app(), paths)
        results = [ask(app, paths) for app in self.apps for _ in range(2)]
        results += [other.recv() for other in self.others]
        wrong = [
            (number, path, one, expected)
            for number, answered in enumerate(results)
            for path, one, expected in zip(paths, answered, fresh, strict=True)
            if one != expected
        ]
        if wrong:
            logging.error("after %s: %s", happened, wrong)  # Hypothesis may tell of a second run
        assert not wrong


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory, sleeper: int) -> Iterator[Servers]:
    folder = tmp_path_factory.mktemp("changes")
    place = places.recorded(folder / "p", live_pid=sleeper)
    for relative, variant in ADDED.items():
        place.write(relative, (VARIANTS / variant).read_bytes())
    shutil.copytree(place.home, folder / "pristine", symlinks=True)
    context = PROCESSES
    others, processes = [], []
    for watch in ("auto", "poll"):
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(theirs, place, watch), daemon=True)
        process.start()
        theirs.close()
        others.append(ours)
        processes.append(process)
    apps = [place.app(), place.app(LOKI_WATCH="poll")]
    with ThreadPoolExecutor(4) as threads:
        yield Servers(place, folder / "pristine", folder / "outside", apps, others, threads)
    for other in others:
        other.send([])
        other.close()
    for process in processes:
        process.join()


def make(servers: Servers, change: Change, path: Path) -> None:
    """Change a file, or restore a missing one. Set an old time, past the write grace period."""
    original = servers.pristine / servers.below(path)
    try:
        kind = path.lstat().st_mode
    except OSError:
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(original, path)
        return
    if not stat.S_ISREG(kind) and not stat.S_ISLNK(kind):
        with suppress(OSError):
            path.rmdir() if stat.S_ISDIR(kind) else path.unlink()
        return
    with suppress(OSError):
        change.apply(path, servers.outside)
    if path.is_file() and "time" not in change.name:
        set_time(path, original.stat().st_mtime_ns)


def run(servers: Servers, data: st.DataObject) -> None:
    servers.restore()
    paths = servers.paths(servers.place.app())
    files = sorted(path for root in servers.roots() for path in root.rglob("*") if path.is_file())
    happened: list[Any] = []
    chosen = data.draw(st.sampled_from(files), "file")
    for _ in range(data.draw(st.integers(1, 4), "changes")):
        if data.draw(st.booleans(), "another file"):
            chosen = data.draw(st.sampled_from(files), "file")
        change = data.draw(st.sampled_from(CHANGES), "change")
        happened.append((change, str(servers.below(chosen))))
        if data.draw(st.booleans(), "requests meanwhile"):
            wait = servers.ask_meanwhile(paths)
            make(servers, change, chosen)
            wait()
        else:
            make(servers, change, chosen)
        servers.check(paths, happened)


@pytest.mark.slow
@pytest.mark.timeout(60 + 60 * _EXAMPLES)
@settings(_PROFILE, max_examples=_EXAMPLES)
@given(data=st.data())
def test_each_answer_equals_that_of_a_new_server(servers: Servers, data: st.DataObject) -> None:
    run(servers, data)
