"""The hash chain through the audit log: each entry's hash covers the entry and the hash before it
(`spec` 15.3). It runs across files; what retention deleted is replaced by an anchor."""

import hashlib
import json
from typing import Any

from loki_web.services.audit_files import FOLDER, AuditFile, audit_files
from loki_web.store.coerce import Json, as_dict, dicts_in
from loki_web.store.folder import Folder

GENESIS = "0" * 64
HASH = "_integrity_hash"
_ANCHORS = f"{FOLDER}/anchors.json"
_MAX_ANCHORS = 1000


def entry_hash(previous: str, entry: Json) -> str:
    """The hash of an entry.

    :param previous: that of the entry before it, GENESIS for the first ever.
    :param entry: with or without its own hash, which does not count.
    """
    return chained(previous, covered_text(entry))


def covered_text(entry: Json) -> str:
    """What of an entry its hash covers."""
    covered = {key: value for key, value in entry.items() if key != HASH}
    return json.dumps(covered, sort_keys=True, default=str)


def chained(previous: str, text: str) -> str:
    return hashlib.sha256((previous + text).encode()).hexdigest()


def hash_in(line: bytes) -> str | None:
    """The hash that a line carries, or None where it is no entry with one."""
    found = read_line(line)
    value = found.get(HASH) if found else None
    return value if isinstance(value, str) and is_hash(value) else None


def is_hash(value: str) -> bool:
    return len(value) == 64 and set(value) <= set("0123456789abcdef")


def read_line(line: bytes) -> Json | None:
    """The entry in a line, exactly as it was written; None where there is none."""
    try:
        value: Any = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def last_hash(user: Folder) -> str:
    """What the next entry continues from: the newest line that carries a hash."""
    for file in reversed(audit_files(user)):
        found = last_hash_in(user, file)
        if found:
            return found
    kept = anchors(user)
    return kept[-1]["hash"] if kept else GENESIS


def last_hash_in(user: Folder, file: AuditFile) -> str | None:
    """The hash of the last entry of a file that has one, past torn lines and bare entries."""
    return next(filter(None, map(hash_in, user.lines_backwards(file.path))), None)


def anchors(user: Folder) -> list[Json]:
    """Where deleted files ended, oldest first: `file` and the `hash` of its last entry."""
    held = as_dict(user.document(_ANCHORS)).get("anchors")
    return [
        anchor
        for anchor in dicts_in(held)
        if isinstance(anchor.get("hash"), str) and isinstance(anchor.get("file"), str)
    ]


def keep_anchors(user: Folder, files: list[AuditFile]) -> None:
    """Remember where these files end, before they are deleted.

    :raises StorageError: when that cannot be written; then they must not be deleted.
    """
    known = anchors(user)
    ends = [(file, last_hash_in(user, file)) for file in files]
    known += [{"file": file.name, "hash": found} for file, found in ends if found]
    user.write_json(_ANCHORS, {"anchors": known[-_MAX_ANCHORS:]}, mode=0o600)
