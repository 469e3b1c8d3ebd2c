"""What there is below `state/checkpoints`, read from the forms of three writers (`spec` 11).

The directories are the truth. The index is shared with the CLI and may name what is gone, miss
what is there or end in a cut line; it lends the fields that a `metadata.json` does not have.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from loki_web.services.ids import is_identifier
from loki_web.services.redaction import redact, redact_within
from loki_web.store.coerce import Json, as_dict, first_text, texts_in
from loki_web.store.collection import Stamped
from loki_web.store.derived import derived
from loki_web.store.folder import Folder
from loki_web.store.times import UNKNOWN, isoformat, parse_time, tidy_time

FOLDER = "state/checkpoints"
INDEX = f"{FOLDER}/index.jsonl"
METADATA = "metadata.json"
_TIME_KEYS = ("created_at", "timestamp", "ts")
_MESSAGE_KEYS = ("message", "task", "task_description")
_SHA_KEYS = ("git_sha", "sha")
_ID_TIME = re.compile(r"(?:(\d{8})-(\d{6})|-(\d{9,11}))(?:-\d{1,4})?")
_MOST_FILES = 1000
_LONGEST_LISTED = 2000  # characters of a text in the list; the single answer has all of it


@dataclass(frozen=True)
class Checkpoint:
    """:param taken_at: when, as far as anything tells.
    :param metadata: the content of its `metadata.json`, empty where that is damaged.
    :param line: its latest line in the index, empty where there is none.
    """

    id: str
    taken_at: datetime
    metadata: Json
    line: Json


@derived
def find_checkpoints(folder: Folder) -> list[Checkpoint]:
    """All that have a directory with a `metadata.json`, newest first by time."""
    lines = read_index_lines(folder)
    found = (
        _checkpoint(name, version, content, lines.get(name, {}))
        for name, version, content in _metadata(folder)
        if is_identifier(name)
    )
    return sorted(found, key=_age, reverse=True)


def _metadata(folder: Folder) -> list[tuple[str, Stamped, Any]]:
    """The name of each real directory with a `metadata.json`, the version and content of that."""
    found = folder.collection(FOLDER, nested=True, named=METADATA)
    return [
        (path.removesuffix(f"/{METADATA}"), version, found.value(path))
        for path, version in found.versions(damaged=True).items()
        if path.count("/") == 1
    ]


def read_index_lines(folder: Folder) -> dict[str, Json]:
    """The latest line of the index for each id."""
    with folder.journal(INDEX, _Index).reading() as index:
        return dict(index.lines)


def summarize_checkpoint(folder: Folder, checkpoint: Checkpoint) -> Json:
    """The uniform fields, and what else is known in a few words."""
    kept = {
        key: value
        for key, value in {**checkpoint.line, **checkpoint.metadata}.items()
        if value is None or isinstance(value, bool | int | float) or _is_short(value)
    }
    answer = _answer(folder, checkpoint, kept)
    answer["message"] = answer["message"][:_LONGEST_LISTED]
    return answer


def describe_checkpoint(folder: Folder, checkpoint: Checkpoint) -> Json:
    """The uniform fields and everything in its `metadata.json`."""
    return _answer(folder, checkpoint, checkpoint.metadata)


def parse_id_time(identity: str) -> datetime | None:
    """The time that an id tells: `cp-<iteration>-<epoch>` or `chk-YYYYMMDD-HHMMSS`."""
    match = _ID_TIME.search(identity)
    if match is None:
        return None
    day, clock, epoch = match.groups()
    if epoch:
        return parse_time(epoch)
    try:
        return datetime.strptime(day + clock, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def _checkpoint(identity: str, version: Stamped, content: Any, line: Json) -> Checkpoint:
    metadata = as_dict(content)
    told = (parse_time(source.get(key)) for source in (metadata, line) for key in _TIME_KEYS)
    taken_at = next((moment for moment in told if moment), None) or parse_id_time(identity)
    return Checkpoint(identity, taken_at or parse_time(version.mtime) or UNKNOWN, metadata, line)


def _age(checkpoint: Checkpoint) -> tuple[datetime, int, str]:
    """Of two in one moment the longer id, the one with a suffix, is the later."""
    return checkpoint.taken_at, len(checkpoint.id), checkpoint.id


def _answer(folder: Folder, checkpoint: Checkpoint, content: Json) -> Json:
    sources = (checkpoint.metadata, checkpoint.line)
    answer: Json = {
        "id": checkpoint.id,
        "created_at": isoformat(checkpoint.taken_at),
        "git_sha": redact(_first(sources, _SHA_KEYS)),
        "message": redact(_first(sources, _MESSAGE_KEYS)),
        "files": [METADATA, *_files(folder, checkpoint)],
    }
    for key, value in redact_within(content).items():
        answer.setdefault(key, (tidy_time(value) or value) if key in _TIME_KEYS else value)
    return answer


def _files(folder: Folder, checkpoint: Checkpoint) -> list[str]:
    """As its maker listed them, else the names in its directory."""
    for source in (checkpoint.metadata, checkpoint.line):
        if isinstance(source.get("files"), list):
            return _without_metadata(texts_in(source["files"]))
    return _without_metadata(folder.names(f"{FOLDER}/{checkpoint.id}"))


def _without_metadata(names: list[str]) -> list[str]:
    return [redact(name) for name in names[:_MOST_FILES] if name != METADATA]


def _first(sources: tuple[Json, ...], keys: tuple[str, ...]) -> str:
    return first_text(*(source.get(key) for source in sources for key in keys))


def _is_short(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST_LISTED


class _Index:
    """The latest line of the index for each id."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.lines: dict[str, Json] = {}
        self._last: tuple[str, Json | None] | None = None

    def take(self, record: Json, offset: int, length: int) -> None:
        identity = record.get("id")
        self._last = None
        if isinstance(identity, str) and is_identifier(identity):
            self._last = identity, self.lines.get(identity)
            self.lines[identity] = record

    def take_back(self) -> None:
        if self._last is not None:
            identity, before = self._last
            if before is None:
                del self.lines[identity]
            else:
                self.lines[identity] = before
