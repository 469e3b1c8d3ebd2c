"""The audit log in `~/.loki/dashboard/audit`: files, hash chain and recording.

Each entry's hash covers the entry and the hash before it, across files. Files that retention
deletes are replaced by a signed anchor, so that the rest still verifies, and the end of the chain
is signed outside of the folder, see `audit.seal` (docs/files.md, section 15.3).
"""

import hashlib
import json
import logging
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

from loki_web.audit.seal import End, create_seal
from loki_web.errors import StorageError
from loki_web.services.cells import Counter
from loki_web.services.context import Sources, WritableSources
from loki_web.services.redaction import redact
from loki_web.store.coerce import Json, as_dict, dicts_in, first_text
from loki_web.store.files import Version
from loki_web.store.lines import Patterns
from loki_web.store.times import isoformat
from loki_web.store.writable import WritableFolder

FOLDER = "dashboard/audit"
GENESIS = "0" * 64
HASH = "_integrity_hash"
MAX_TEXT = 500
_LOCK = f"{FOLDER}/audit"
_LOCK_SECONDS = 5.0
_ANCHORS = f"{FOLDER}/anchors.json"
_MAX_ANCHORS = 1000
_MAX_LIST = 100
_MEGABYTE = 1024 * 1024
_FILE_NAME = re.compile(r"audit-(\d{4}-\d{2}-\d{2})(?:\.(\d{6}))?\.jsonl", re.ASCII)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Event:
    """An action to record. Texts are redacted and cut at MAX_TEXT characters."""

    action: str
    resource_type: str
    resource_id: str | None = None
    user_id: str | None = None
    token_id: str | None = None
    ip_address: str | None = None
    user_agent: str | None = None
    success: bool = True
    error: str | None = None
    details: Json = field(default_factory=dict)


@dataclass(frozen=True)
class AuditFile:
    """A file of the log.

    :param part: the time of day at which the file was rotated, "" for the one in use.
    """

    name: str
    day: date
    part: str

    @property
    def path(self) -> str:
        """Relative to `~/.loki`."""
        return os.path.join(FOLDER, self.name)

    @property
    def order(self) -> tuple[date, bool, str]:
        """The sort key that puts files in the order of the chain."""
        return self.day, not self.part, self.part


class AuditLog:
    """The files of the log, for reading."""

    def __init__(self, sources: Sources) -> None:
        self._user = sources.user

    def list_files(self) -> list[AuditFile]:
        """Return all files, oldest first. Rotated parts of a day come before its file in use."""
        files = map(_parse_file_name, self._user.file_names(FOLDER, ".jsonl"))
        return sorted((file for file in files if file), key=lambda file: file.order)

    def list_irregular_names(self) -> list[str]:
        """Return the names of files of the log that are not regular files, such as FIFOs."""
        names = self._user.other_names(FOLDER)
        return [name for name in names if _parse_file_name(name)]

    def list_anchors(self) -> list[Json]:
        """Return the last hashes of deleted files, oldest first: `file`, `hash`, maybe `mac`."""
        anchors = as_dict(self._user.document(_ANCHORS)).get("anchors")
        return [
            anchor
            for anchor in dicts_in(anchors)
            if isinstance(anchor.get("hash"), str) and isinstance(anchor.get("file"), str)
        ]

    def read_lines(self, file: AuditFile) -> Iterator[bytes]:
        """Yield the lines of a file, oldest first, line ends included."""
        return self._user.lines(file.path)

    def read_lines_backwards(self, file: AuditFile, *, holding: Patterns = ()) -> Iterator[bytes]:
        """Yield the lines of a file, newest first.

        :param holding: patterns that each line must contain; other lines are skipped.
        """
        return self._user.lines_backwards(file.path, holding=holding)

    def get_version(self, file: AuditFile) -> Version | None:
        """Return the version of a file, None if it is gone."""
        return self._user.version(file.path)


class WritableAuditLog(AuditLog):
    """The log and its hash chain, for recording."""

    _user: WritableFolder

    def __init__(self, sources: WritableSources) -> None:
        super().__init__(sources)
        self._sources = sources
        self._settings = sources.settings
        is_sealed = self._settings.audit_recorded and not self._settings.audit_no_integrity
        self._seal = create_seal(sources) if is_sealed else None

    def sign_end(self) -> None:
        """Sign the current end of the log if no signed end exists; called at each start."""
        if self._seal and not self._seal.read_end():
            self._write_end(self._find_end(self._find_last_hash()))

    def record(self, event: Event) -> Json | None:
        """Append an event.

        A log that cannot be written is logged as an error; the action itself has already been done
        and does not fail.

        :return: the entry as written; None if recording is off or has failed.
        """
        if not self._settings.audit_recorded:
            return None
        now = self._sources.now()
        entry = {"timestamp": isoformat(now), **_redact_event(event)}
        try:
            stored_entry = self._append(entry, now)
            self._sources.audit_failure.clear()
            return stored_entry
        except StorageError as error:
            self._sources.audit_failure.set()
            self._sources.counts.add(Counter.AUDIT_FAILURES)
            log.error(
                "no audit entry for %s %s: %s", event.action, event.resource_type, error.detail
            )
            return None

    def can_record(self) -> bool:
        """Return whether the log can probably be written: nothing is written to find out."""
        file = _get_current_file(self._sources.now_unrecorded())
        return self._user.can_append(file.path)

    def _append(self, entry: Json, now: datetime) -> Json:
        """Append an entry, chained to the last one that any process wrote.

        :return: the entry as written, with its hash unless the settings turn integrity off.
        :raises StorageError: when the log cannot be locked or written.
        """
        self._user.make_private(FOLDER)
        with self._user.locked(_LOCK, seconds=_LOCK_SECONDS):
            self._rotate_if_full(now)
            path = _get_current_file(now).path
            if self._settings.audit_no_integrity:
                self._user.append_json_line(path, entry)
                return entry
            # Read from the files each time: the CLI and other workers append here as well.
            last = self._find_last_hash()
            end = self._find_end(last)
            chained_entry = _chain(entry, end.last)
            if self._write_end(replace(end, pending=chained_entry[HASH])):
                self._user.append_json_line(path, chained_entry)
                self._write_end(replace(end, last=chained_entry[HASH]))
                return chained_entry
            unsigned = _chain(entry, last)
            self._user.append_json_line(path, unsigned)
            return unsigned

    def _write_end(self, end: End) -> bool:
        """Sign and store the end; return False if that is not possible."""
        try:
            if self._seal:
                self._seal.write_end(end)
        except OSError as error:
            log.error("the end of the audit log cannot be signed: %s", error)
            return False
        return self._seal is not None

    def _find_end(self, last: str) -> End:
        """Return the end of the chain, which the next entry continues.

        A signed end counts, even if lines of the files were removed or added since.

        :param last: the last hash in the files.
        """
        end = self._seal.read_end() if self._seal else None
        if end is None:
            return End(start=last, last=last)
        return End(end.start, last if last == end.pending else end.last)

    def _find_last_hash(self) -> str:
        """Return the hash of the newest entry that has one, else of the newest anchor."""
        for file in reversed(self.list_files()):
            last_hash = self._find_last_hash_in(file)
            if last_hash:
                return last_hash
        anchors = self.list_anchors()
        return anchors[-1]["hash"] if anchors else GENESIS

    def _find_last_hash_in(self, file: AuditFile) -> str | None:
        """Return the last hash in a file; torn lines and entries without a hash are skipped."""
        return next(filter(None, map(_parse_hash, self.read_lines_backwards(file))), None)

    def _rotate_if_full(self, now: datetime) -> None:
        file = _get_current_file(now)
        version = self.get_version(file)
        if version is None or version.size < self._settings.audit_max_size_mb * _MEGABYTE:
            return
        name = self._choose_rotated_name(file, now)
        if name is None:
            return
        self._user.rename(file.path, name)
        self._delete_oldest(self._settings.audit_max_files)

    def _choose_rotated_name(self, file: AuditFile, now: datetime) -> str | None:
        """Return a name for a full file that sorts after the existing parts of its day.

        :return: None in the last seconds of a day, when no later name is left.
        """
        parts = [other.part for other in self.list_files() if other.day == file.day and other.part]
        latest = datetime.combine(file.day, now.time())
        for part in parts:
            try:
                rotated_at = datetime.combine(file.day, datetime.strptime(part, "%H%M%S").time())
            except ValueError:
                continue
            latest = max(latest, rotated_at + timedelta(seconds=1))
        if latest.date() != file.day:
            return None
        return f"audit-{file.day.isoformat()}.{latest.strftime('%H%M%S')}.jsonl"

    def _delete_oldest(self, max_files: int) -> None:
        """Delete the oldest files in the order of the chain until `max_files` are left.

        Modification times are not used: a file that was touched would leave a gap in the chain.
        """
        files = self.list_files()
        surplus = files[: max(0, len(files) - max_files)]
        if not surplus:
            return
        self._save_anchors(surplus)
        for file in surplus:
            self._user.remove(file.path)

    def _save_anchors(self, files: list[AuditFile]) -> None:
        """Store the last hashes of these files, before the files are deleted.

        :raises StorageError: when they cannot be written; then the files must be kept.
        """
        ends = [(file, self._find_last_hash_in(file)) for file in files]
        added = [self._make_anchor(file.name, last_hash) for file, last_hash in ends if last_hash]
        anchors = [*self.list_anchors(), *added][-_MAX_ANCHORS:]
        self._user.write_json(_ANCHORS, {"anchors": anchors}, mode=0o600)

    def _make_anchor(self, file: str, last_hash: str) -> Json:
        if self._seal:
            return self._seal.sign_anchor(file, last_hash)
        return {"file": file, "hash": last_hash}


class AuditState:
    """An input that tells whether the audit log can be written; examined once a second."""

    is_notified = True

    def __init__(self, sources: WritableSources) -> None:
        self._failure, self._log = sources.audit_failure, WritableAuditLog(sources)

    def examine(self) -> bool:
        """Return True if the last entry was written, and the next one can probably be."""
        return not self._failure.is_set() and self._log.can_record()


def serialize_entry(entry: Json) -> str:
    """Return the text that an entry's hash covers: all keys but the hash, sorted."""
    covered = {key: value for key, value in entry.items() if key != HASH}
    return json.dumps(covered, sort_keys=True, default=str)


def hash_entry(previous: str, text: str) -> str:
    """Return the hash of a serialized entry.

    :param previous: the hash of the entry before it, GENESIS for the first one.
    """
    # A forged hash can be any text, also one that cannot be encoded.
    return hashlib.sha256((previous + text).encode("utf-8", "surrogatepass")).hexdigest()


def _chain(entry: Json, previous: str) -> Json:
    """Return an entry with its hash."""
    return {**entry, HASH: hash_entry(previous, serialize_entry(entry))}


def parse_line(line: bytes) -> Json | None:
    """Return the entry in a line exactly as written, None for a malformed line."""
    try:
        value: Any = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def get_tail(sources: Sources) -> Json | None:
    """Return time, action and hash of the newest entry that has a hash; None if there is none."""
    audit_log = AuditLog(sources)
    for file in reversed(audit_log.list_files()):
        for line in audit_log.read_lines_backwards(file):
            entry = parse_line(line) or {}
            if _parse_hash(line):
                return {
                    "timestamp": first_text(entry.get("timestamp")),
                    "action": first_text(entry.get("action")),
                    "hash": entry[HASH],
                }
    return None


def _parse_hash(line: bytes) -> str | None:
    """Return the hash in a line, None if the line has no valid one."""
    value = (parse_line(line) or {}).get(HASH)
    return value if isinstance(value, str) and _is_hash(value) else None


def _is_hash(value: str) -> bool:
    return len(value) == 64 and set(value) <= set("0123456789abcdef")


def _get_current_file(now: datetime) -> AuditFile:
    """Return the file to which entries of this time are appended."""
    return AuditFile(f"audit-{now.date().isoformat()}.jsonl", now.date(), "")


def _parse_file_name(name: str) -> AuditFile | None:
    match = _FILE_NAME.fullmatch(name)
    if not match:
        return None
    try:
        return AuditFile(name, date.fromisoformat(match[1]), match[2] or "")
    except ValueError:
        return None


def _redact_event(event: Event) -> Json:
    return {key: _redact_and_cut(value) for key, value in asdict(event).items()}


def _redact_and_cut(value: object) -> object:
    if isinstance(value, str):
        return redact(value)[:MAX_TEXT]
    if isinstance(value, dict):
        return {key: _redact_and_cut(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_redact_and_cut(item) for item in value[:_MAX_LIST]]
    return value
