"""The ways in which the CLI writes files (docs/files.md, section 1.2)."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from loki_web.demo import clock


class Writers:
    """Writes below one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def in_place(self, relative: str, value: Any) -> None:
        """Truncate and rewrite; a reader may see an empty or partial file."""
        with open(self._at(relative), "w", encoding="utf-8") as stream:
            stream.write(text_of(value))

    def by_rename(self, relative: str, value: Any) -> None:
        """Write a temporary file and rename it."""
        path = self._at(relative)
        temporary = f"{path}.tmp"
        Path(temporary).write_text(text_of(value), encoding="utf-8")
        os.replace(temporary, path)

    def line(self, relative: str, value: Any) -> None:
        """Append a line."""
        written = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
        with open(self._at(relative), "a", encoding="utf-8") as stream:
            stream.write(f"{written}\n")

    def touch(self, relative: str) -> None:
        self._at(relative).touch()

    def remove(self, relative: str) -> None:
        self._at(relative).unlink(missing_ok=True)

    def exists(self, relative: str) -> bool:
        return (self.folder / relative).exists()

    def read(self, relative: str, default: Any) -> Any:
        """Read a file that others may have changed; `default` if it is unreadable."""
        try:
            return json.loads((self.folder / relative).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return default

    def _at(self, relative: str) -> Path:
        path = self.folder / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        return path


def text_of(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, indent=2)


def seconds() -> str:
    """Return the current time in the format of the shell scripts."""
    return clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")


def micros() -> str:
    """Return the current time in the format of the Python programs."""
    return clock.now().isoformat()


def real_time() -> str:
    """Return the present, also while the demo is behind it: for what is compared with a process."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def file_stamp() -> str:
    return clock.now().strftime("%Y-%m-%dT%H-%M-%S")
