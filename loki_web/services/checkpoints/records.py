"""List and show checkpoints, in the formats of three writers (docs/files.md, section 11).

A checkpoint exists when its directory does. The index is shared with the CLI: it may name removed
checkpoints, miss existing ones or end in a truncated line. It only adds fields that a
`metadata.json` does not have.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypedDict, cast

from loki_web.errors import NotFound
from loki_web.services.context import Sources
from loki_web.services.ids import check_id, is_identifier
from loki_web.services.redaction import redact, redact_within
from loki_web.store.coerce import Json, as_dict, first_text, texts_in
from loki_web.store.derived import derived
from loki_web.store.entries import Entry
from loki_web.store.times import UNKNOWN, isoformat, parse_time, tidy_time

FOLDER = "state/checkpoints"
INDEX = f"{FOLDER}/index.jsonl"
METADATA = "metadata.json"
_TIME_KEYS = ("created_at", "timestamp", "ts")
_MESSAGE_KEYS = ("message", "task", "task_description")
_SHA_KEYS = ("git_sha", "sha")
_ID_TIME = re.compile(r"(?:(\d{8})-(\d{6})|-(\d{9,11}))(?:-\d{1,4})?")
_MAX_FILES = 1000
_MAX_TEXT = 2000  # characters of a text in the list; a single checkpoint is returned in full


class CheckpointDict(TypedDict):
    """The documented fields of a checkpoint; further ones are as in its files, redacted."""

    id: str
    created_at: str
    git_sha: str
    message: str
    files: list[str]


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint as it is on disk.

    :param taken_at: from its metadata, line or id, else the modification time of the metadata.
    :param metadata: the content of its `metadata.json`, empty when that is damaged.
    :param line: its latest line in the index, empty when there is none.
    """

    id: str
    taken_at: datetime
    metadata: Json
    line: Json


def list_checkpoints(sources: Sources, *, limit: int) -> list[CheckpointDict]:
    """Return the newest `limit` checkpoints, newest first."""
    return [
        summarize_checkpoint(sources, checkpoint)
        for checkpoint in find_checkpoints(sources)[:limit]
    ]


def get_checkpoint(sources: Sources, identity: str) -> CheckpointDict:
    """Return one checkpoint with everything in its `metadata.json`.

    :raises BadRequest: when the id is not a valid identifier.
    :raises NotFound: when there is no such checkpoint.
    """
    check_id(identity, "checkpoint_id")
    for checkpoint in find_checkpoints(sources):
        if checkpoint.id == identity:
            return describe_checkpoint(sources, checkpoint)
    raise NotFound("Checkpoint not found")


@derived
def find_checkpoints(sources: Sources) -> list[Checkpoint]:
    """Return the checkpoints that have a directory with a `metadata.json`, newest first."""
    lines = read_index_lines(sources)
    checkpoints = (
        _build_checkpoint(name, version, content, lines.get(name, {}))
        for name, version, content in _read_metadata(sources)
        if is_identifier(name)
    )
    return sorted(checkpoints, key=_get_age, reverse=True)


def _read_metadata(sources: Sources) -> list[tuple[str, Entry, Any]]:
    """Return `(directory, version, content)` of each `metadata.json`; links are not followed."""
    files = sources.project.collection(FOLDER, nested=True, named=METADATA)
    return [
        (path.removesuffix(f"/{METADATA}"), version, files.value(path))
        for path, version in files.versions(damaged=True).items()
        if path.count("/") == 1
    ]


def read_index_lines(sources: Sources) -> dict[str, Json]:
    """Return the latest line of the index for each id."""
    with sources.project.journal(INDEX, _Index).reading() as index:
        return dict(index.lines)


def summarize_checkpoint(sources: Sources, checkpoint: Checkpoint) -> CheckpointDict:
    """Return the documented fields, and further ones that are short."""
    extra = {
        key: value
        for key, value in {**checkpoint.line, **checkpoint.metadata}.items()
        if value is None or isinstance(value, bool | int | float) or _is_short(value)
    }
    answer = _build_answer(sources, checkpoint, extra)
    answer["message"] = answer["message"][:_MAX_TEXT]
    return answer


def describe_checkpoint(sources: Sources, checkpoint: Checkpoint) -> CheckpointDict:
    """Return the documented fields and everything in its `metadata.json`."""
    return _build_answer(sources, checkpoint, checkpoint.metadata)


def parse_id_time(identity: str) -> datetime | None:
    """Return the UTC time in an id of the form `cp-<iteration>-<epoch>` or `chk-YYYYMMDD-HHMMSS`.

    :return: None when there is no valid time in it.
    """
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


def _build_checkpoint(identity: str, version: Entry, content: Any, line: Json) -> Checkpoint:
    metadata = as_dict(content)
    times = (parse_time(source.get(key)) for source in (metadata, line) for key in _TIME_KEYS)
    taken_at = next((moment for moment in times if moment), None) or parse_id_time(identity)
    return Checkpoint(identity, taken_at or parse_time(version.mtime) or UNKNOWN, metadata, line)


def _get_age(checkpoint: Checkpoint) -> tuple[datetime, int, str]:
    """Sort by time; of two in the same second the longer id, which has a suffix, is the later."""
    return checkpoint.taken_at, len(checkpoint.id), checkpoint.id


def _build_answer(sources: Sources, checkpoint: Checkpoint, content: Json) -> CheckpointDict:
    records = (checkpoint.metadata, checkpoint.line)
    documented: CheckpointDict = {
        "id": checkpoint.id,
        "created_at": isoformat(checkpoint.taken_at),
        "git_sha": redact(_get_first(records, _SHA_KEYS)),
        "message": redact(_get_first(records, _MESSAGE_KEYS)),
        "files": [METADATA, *_list_files(sources, checkpoint)],
    }
    others = {
        key: (tidy_time(value) or value) if key in _TIME_KEYS else value
        for key, value in redact_within(content).items()
        if key not in documented
    }
    return cast(CheckpointDict, {**documented, **others})


def _list_files(sources: Sources, checkpoint: Checkpoint) -> list[str]:
    """Return the files listed in the metadata or the index, else the names in its directory."""
    for source in (checkpoint.metadata, checkpoint.line):
        if isinstance(source.get("files"), list):
            return _without_metadata(texts_in(source["files"]))
    return _without_metadata(sources.project.names(f"{FOLDER}/{checkpoint.id}"))


def _without_metadata(names: list[str]) -> list[str]:
    return [redact(name) for name in names[:_MAX_FILES] if name != METADATA]


def _get_first(sources: tuple[Json, ...], keys: tuple[str, ...]) -> str:
    return first_text(*(source.get(key) for source in sources for key in keys))


def _is_short(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= _MAX_TEXT


class _Index:
    """The state of reading the index: the latest line for each id."""

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
