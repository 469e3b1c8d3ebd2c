"""The recorded session, made once by the fixture's own script and then written from memory.

The script takes 20 to 90 ms for its 180 files, and thousands of tests have a session of their own.
"""

import hashlib
import io
import json
import os
import tempfile
from contextlib import redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import import_module
from pathlib import Path
from unittest.mock import patch

FIXTURE = Path(__file__).parents[1] / "fixtures" / "session-a"
_REGISTRY = ".loki/dashboard/projects.json"
_ID_LENGTH = 12


@dataclass(frozen=True)
class _File:
    """:param pieces: the content between the places where the path of HOME stands."""

    path: str
    pieces: list[bytes]
    mode: int
    mtime_ns: int


@dataclass(frozen=True)
class Recording:
    """:param as_of: the moment of recording, as ISO time."""

    home: str
    loki: str
    as_of: str
    folders: list[tuple[str, int]]
    files: list[_File]

    def write(self, home: Path) -> None:
        """Write it as the script would to a new folder `home`."""
        for folder, _ in self.folders:
            os.makedirs(home / folder)
        for file in self.files:
            content = str(home).encode().join(file.pieces)
            if file.path == _REGISTRY:
                content = self._with_new_ids(content, home)
            descriptor = os.open(home / file.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, file.mode)
            with open(descriptor, "wb", buffering=0) as stream:
                stream.write(content)
                os.fchmod(descriptor, file.mode)
                os.utime(descriptor, ns=(file.mtime_ns, file.mtime_ns))
        for folder, mtime_ns in reversed(self.folders):
            os.utime(home / folder, ns=(mtime_ns, mtime_ns))

    def _with_new_ids(self, content: bytes, home: Path) -> bytes:
        """Replace the ids that are hashes of a project's path."""
        for project_id, project in json.loads(content)["projects"].items():
            path = project["path"]
            before = path.replace(str(home), self.home)
            for algorithm in (hashlib.md5, hashlib.sha256):
                if algorithm(before.encode()).hexdigest()[:_ID_LENGTH] == project_id:
                    new_id = algorithm(path.encode()).hexdigest()[:_ID_LENGTH]
                    content = content.replace(project_id.encode(), new_id.encode())
        return content


def _materialize(folder: Path, *options: str) -> dict[str, str]:
    """Run the fixture's own script in this process; return what it prints."""
    output = io.StringIO()
    arguments = ["materialize.py", str(FIXTURE), str(folder), *options]
    with redirect_stdout(output), patch("sys.argv", arguments):
        import_module("tests.fixtures.materialize").main()
    return dict(line.split("=", 1) for line in output.getvalue().splitlines())


def get_recording(*, finished: bool, today: bool = False) -> Recording:
    """Return the session as it was while running, or after its end.

    :param today: with all times moved by whole days, to the last 24 hours.
    """
    recording = _record(finished, 0)
    if not today:
        return recording
    return _record(finished, (datetime.now(UTC) - datetime.fromisoformat(recording.as_of)).days)


@cache
def _record(finished: bool, days: int) -> Recording:
    """Return the session with all times moved by whole days."""
    options = ["--finished"] * finished
    if days:
        moment = datetime.fromisoformat(_record(finished, 0).as_of) + timedelta(days=days)
        options += ["--now", moment.isoformat()]
    with tempfile.TemporaryDirectory() as folder:
        values = _materialize(Path(folder).resolve(), *options)
        home = Path(values["HOME"])
        paths = sorted(home.rglob("*"))
        return Recording(
            home=str(home),
            loki=str(Path(values["LOKI_DIR"]).relative_to(home)),
            as_of=values["AS_OF"],
            folders=[
                (str(path.relative_to(home)), path.stat().st_mtime_ns)
                for path in [home, *paths]
                if path.is_dir()
            ],
            files=[_read(path, home) for path in paths if path.is_file()],
        )


def _read(path: Path, home: Path) -> _File:
    status = path.stat()
    pieces = path.read_bytes().split(str(home).encode())
    return _File(str(path.relative_to(home)), pieces, status.st_mode & 0o7777, status.st_mtime_ns)
