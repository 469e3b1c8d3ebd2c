"""Folders for tests: a HOME with one project in it, empty or as a real session left it."""

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from loki_web.app import create_app
from loki_web.config.settings import Settings
from loki_web.services.context import WritableSources, open_sources
from tests.support.recordings import FIXTURE, get_recording

VARIANTS = FIXTURE / "variants"


@dataclass(frozen=True)
class Place:
    """:param now: the moment at which a server with a frozen clock looks at it; None for today."""

    home: Path
    loki: Path
    now: datetime | None = None

    def write(self, relative: str, content: Any) -> Path:
        """Put a file below `.loki/`: text and bytes as they are, everything else as JSON."""
        return write(self.loki / relative, content)

    def write_home(self, relative: str, content: Any) -> Path:
        """Put a file below `~/.loki/`."""
        return write(self.home / ".loki" / relative, content)

    def variant(self, name: str, relative: str) -> None:
        """Lay one of the fixture's odd shapes over a file of `.loki/`."""
        self.write(relative, (VARIANTS / name).read_bytes())

    def read(self, relative: str) -> Any:
        return json.loads((self.loki / relative).read_text())

    def environment(self, **settings: str) -> dict[str, str]:
        base = {"HOME": str(self.home), "LOKI_DIR": str(self.loki)}
        return {**base, "LOKI_CONTROL_RATE_LIMIT": "100000", **settings}

    def settings(self, **settings: str) -> Settings:
        return Settings.from_env(self.environment(**settings))

    def clock(self) -> datetime:
        return self.now or datetime.now(UTC)

    def sources(self, **settings: str) -> WritableSources:
        return open_sources(self.settings(**settings), self.clock().timestamp(), self.clock)

    def app(self, **settings: str) -> Flask:
        return create_app(self.settings(**settings), now=self.clock)

    def client(self, **settings: str) -> FlaskClient:
        return self.app(**settings).test_client()


def empty(folder: Path) -> Place:
    """A project whose `.loki/` has nothing in it."""
    loki = folder / "home" / "projects" / "demo" / ".loki"
    loki.mkdir(parents=True)
    return Place(folder / "home", loki)


def recorded(
    folder: Path, *, finished: bool = False, live_pid: int | None = None, today: bool = False
) -> Place:
    """The recorded session, its clock at the moment of recording or, with `today`, moved to now."""
    recording = get_recording(finished=finished, today=today)
    home = folder.resolve() / "home"
    recording.write(home)
    moment = None if today else datetime.fromisoformat(recording.as_of)
    place = Place(home, home / recording.loki, moment)
    if live_pid:  # written now: a process that began after it was recorded is another one
        place.write("loki.pid", f"{live_pid}\n")
    return place


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, str):
        path.write_text(content, encoding="utf-8")
    else:
        path.write_text(json.dumps(content), encoding="utf-8")
    return path


def snapshot(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Names, modification times and contents of everything below a folder."""
    found: dict[str, tuple[int, bytes]] = {}
    _take(str(folder), "", found)
    return found


def _take(folder: str, prefix: str, found: dict[str, tuple[int, bytes]]) -> None:
    """Add what is in a folder; without a `Path` for each file, which took most of the time."""
    try:
        entries = list(os.scandir(folder))
    except OSError:  # it is missing, or may not be read
        return
    for entry in entries:
        content = b""
        if entry.is_file(follow_symlinks=False):
            with open(entry.path, "rb") as stream:
                content = stream.read()
        elif entry.is_dir(follow_symlinks=False):
            _take(entry.path, f"{prefix}{entry.name}/", found)
        found[prefix + entry.name] = (entry.stat(follow_symlinks=False).st_mtime_ns, content)
