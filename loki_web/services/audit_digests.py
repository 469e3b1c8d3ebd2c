"""What the entries of an audit file add up to, worked out once for each version of the file.

For files that are complete all workers share it in the cache folder, since to read a year of
entries takes seconds.
"""

import threading
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import Any

from loki_web.errors import StorageError
from loki_web.services.audit_entries import entries_of, shown
from loki_web.services.audit_files import AuditFile
from loki_web.services.context import Sources
from loki_web.store.coerce import Json, as_count, as_dict, dicts_in, first_text
from loki_web.store.files import Version
from loki_web.store.folder import Folder

RECENT_FAILURES = 10
_FAILURE_KEYS = ("timestamp", "action", "resource_type", "error")
_COUNTERS = ("by_action", "by_resource_type", "by_user")
_MAX_TEXT = 200
_MAX_HELD = 1000
_FORM = 2  # of what is kept in the cache folder


@dataclass
class Digest:
    """:param failures: the newest RECENT_FAILURES, newest first."""

    succeeded: int = 0
    failed: int = 0
    by_action: Counter[str] = field(default_factory=Counter)
    by_resource_type: Counter[str] = field(default_factory=Counter)
    by_user: Counter[str] = field(default_factory=Counter)
    failures: list[Json] = field(default_factory=list)

    @property
    def total(self) -> int:
        return self.succeeded + self.failed

    def count(self, entry: Json) -> None:
        """Take in one entry; they come newest first."""
        self.by_action[first_text(entry.get("action"))[:_MAX_TEXT]] += 1
        self.by_resource_type[first_text(entry.get("resource_type"))[:_MAX_TEXT]] += 1
        who = first_text(entry.get("user_id"), entry.get("token_id"), default="anonymous")
        self.by_user[who[:_MAX_TEXT]] += 1
        if entry.get("success") is not False:
            self.succeeded += 1
            return
        self.failed += 1
        if len(self.failures) < RECENT_FAILURES:
            seen = shown(entry)
            self.failures.append({key: seen[key] for key in _FAILURE_KEYS})

    def add(self, older: "Digest") -> None:
        self.succeeded += older.succeeded
        self.failed += older.failed
        self.by_action += older.by_action
        self.by_resource_type += older.by_resource_type
        self.by_user += older.by_user
        self.failures = (self.failures + older.failures)[:RECENT_FAILURES]


_held: OrderedDict[tuple[str, Version], Digest] = OrderedDict()
_lock = threading.Lock()


def digest_of(src: Sources, file: AuditFile, *, complete: bool) -> Digest:
    """The digest of a whole file; shared and not to be changed.

    :param complete: whether nothing is appended to it any more.
    """
    version = src.user.version(file.path)
    if version is None:
        return Digest()
    key = f"{src.user.path}/{file.path}", version
    found = _held.get(key) or (_kept(src, file, version) if complete else None)
    if found is None:
        found = Digest()
        for entry in entries_of(src.user, file, {}):
            found.count(entry)
        if version != src.user.version(file.path):
            return found
        if complete:
            _keep(src, file, version, found)
    with _lock:
        _held[key] = found
        while len(_held) > _MAX_HELD:
            _held.popitem(last=False)
    return found


def _kept(src: Sources, file: AuditFile, version: Version) -> Digest | None:
    if src.cache_folder is None:
        return None
    kept = as_dict(Folder(src.cache_folder).document(_name(file)))
    if kept.get("of") != _written(version):
        return None
    by_action, by_resource_type, by_user = (Counter(as_dict(kept.get(key))) for key in _COUNTERS)
    return Digest(
        as_count(kept.get("succeeded")),
        as_count(kept.get("failed")),
        by_action,
        by_resource_type,
        by_user,
        dicts_in(kept.get("failures")),
    )


def _keep(src: Sources, file: AuditFile, version: Version, digest: Digest) -> None:
    if src.cache_folder is None:
        return
    content: Json = {
        "of": _written(version),
        "succeeded": digest.succeeded,
        "failed": digest.failed,
        **{name: dict(getattr(digest, name)) for name in _COUNTERS},
        "failures": digest.failures,
    }
    try:
        Folder(src.cache_folder).write_json(_name(file), content)
    except StorageError:
        return  # it has been logged, and is worked out again


def _name(file: AuditFile) -> str:
    return f"audit-digests/{file.name.removesuffix('.jsonl')}.json"


def _written(version: Version) -> list[Any]:
    return [_FORM, *version]
