"""Queries of the audit log: entries newest first, and counts over a period.

A file is counted once for each of its versions. All workers share the counts of complete files
through the cache folder, since reading a year of entries takes seconds.
"""

import re
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NotRequired, TypedDict, cast

from cachetools import LRUCache

from loki_web.audit.log import HASH, AuditFile, AuditLog
from loki_web.errors import Forbidden, StorageError
from loki_web.services.context import Sources
from loki_web.services.redaction import redact, redact_within
from loki_web.store import json_text
from loki_web.store.coerce import Json, as_count, as_dict, dicts_in, first_text
from loki_web.store.files import Version
from loki_web.store.folder import Folder
from loki_web.store.times import UNKNOWN, microseconds, parse_time, tidy_time
from loki_web.store.writable import WritableFolder

_MAX_FAILURES = 10
_PLAIN = re.compile(r"[A-Za-z0-9 _.:-]+")
_COUNTERS = ("by_action", "by_resource_type", "by_user")
_MAX_TEXT = 200
_MAX_CACHED = 1000
_CACHE_FORMAT = 3
_FAR = 1000  # from this offset on it is cheaper to count a file than to read past its entries


class EntryDict(TypedDict):
    """An entry of the log, redacted, and its hash under `_integrity_hash` if it has one."""

    timestamp: str
    action: str
    resource_type: str
    resource_id: str | None
    user_id: str | None
    token_id: str | None
    ip_address: str | None
    user_agent: str | None
    success: bool
    error: str | None
    details: Json
    _integrity_hash: NotRequired[str]


class FailureDict(TypedDict):
    """A recent failure."""

    timestamp: str
    action: str
    resource_type: str
    error: str | None


class SummaryDict(TypedDict):
    """Counts of the entries of a period."""

    period_days: int
    total_events: int
    successful_events: int
    failed_events: int
    by_action: dict[str, int]
    by_resource_type: dict[str, int]
    by_user: dict[str, int]
    recent_failures: list[FailureDict]


@dataclass
class _Digest:
    """Counts of the entries of a file.

    :param failures: the newest _MAX_FAILURES, newest first.
    """

    succeeded: int = 0
    failed: int = 0
    by_action: Counter[str] = field(default_factory=Counter)
    by_resource_type: Counter[str] = field(default_factory=Counter)
    by_user: Counter[str] = field(default_factory=Counter)
    failures: list[FailureDict] = field(default_factory=list)

    @property
    def total(self) -> int:
        """The number of entries."""
        return self.succeeded + self.failed

    def count(self, entry: Json) -> None:
        """Count an entry; entries must come newest first."""
        self.by_action[first_text(entry.get("action"))[:_MAX_TEXT]] += 1
        self.by_resource_type[first_text(entry.get("resource_type"))[:_MAX_TEXT]] += 1
        user = first_text(entry.get("user_id"), entry.get("token_id"), default="anonymous")
        self.by_user[user[:_MAX_TEXT]] += 1
        if entry.get("success") is not False:
            self.succeeded += 1
            return
        self.failed += 1
        if len(self.failures) < _MAX_FAILURES:
            formatted = _format_entry(entry)
            self.failures.append(
                {
                    "timestamp": formatted["timestamp"],
                    "action": formatted["action"],
                    "resource_type": formatted["resource_type"],
                    "error": formatted["error"],
                }
            )

    def add(self, older: "_Digest") -> None:
        """Add the counts of an older file."""
        self.succeeded += older.succeeded
        self.failed += older.failed
        self.by_action += older.by_action
        self.by_resource_type += older.by_resource_type
        self.by_user += older.by_user
        self.failures = (self.failures + older.failures)[:_MAX_FAILURES]


_digests: LRUCache[tuple[str, Version], _Digest] = LRUCache(_MAX_CACHED)
_lock = threading.Lock()


def list_entries(sources: Sources, **query: Any) -> list[EntryDict]:
    """Return entries as `find_entries` does, if the audit log may be queried.

    :raises Forbidden: while LOKI_ENTERPRISE_AUDIT is off.
    """
    _check_enabled(sources)
    return find_entries(sources, **query)


def find_entries(
    sources: Sources,
    *,
    start_date: date | None = None,
    end_date: date | None = None,
    limit: int = 100,
    offset: int = 0,
    **filters: str | None,
) -> list[EntryDict]:
    """Return entries of the days from `start_date` to `end_date` (UTC, inclusive), newest first.

    :param limit: how many entries to return at most.
    :param offset: how many matching entries to skip.
    :param filters: `action`, `resource_type` and `resource_id`, which match exactly.
    """
    exact = {key: value for key, value in filters.items() if value is not None}
    log = AuditLog(sources)
    files = log.list_files()
    entries: list[EntryDict] = []
    for file in reversed(files):
        if (start_date and file.day < start_date) or (end_date and file.day > end_date):
            continue
        if offset >= _FAR and not exact:
            total = _get_digest(sources, file, is_complete=file is not files[-1]).total
            if total <= offset:
                offset -= total
                continue
        for entry in _read_entries(log, file, exact):
            if offset:
                offset -= 1
                continue
            entries.append(_format_entry(entry))
            if len(entries) == limit:
                return entries
    return entries


def summarize(sources: Sources, days: int) -> SummaryDict:
    """Count the events of the last `days` times 24 hours.

    :raises Forbidden: while LOKI_ENTERPRISE_AUDIT is off.
    """
    _check_enabled(sources)
    period = timedelta(days=days)
    since = sources.now_unrecorded() - period
    log = AuditLog(sources)
    files = log.list_files()
    total = _Digest()
    first_counted = datetime.combine(since.date(), time.max, UTC)
    for file in reversed(files):
        if file.day > since.date():
            total.add(_get_digest(sources, file, is_complete=file is not files[-1]))
        elif file.day == since.date():
            for entry in _read_entries(log, file, {}):
                if (timestamp := _parse_timestamp(entry)) >= since:
                    total.count(entry)
                    first_counted = min(first_counted, timestamp)
    # The counts are right until an entry, or a whole file, leaves the period.
    sources.record_validity(microseconds(since + period) - 1, microseconds(first_counted + period))
    return {
        "period_days": days,
        "total_events": total.total,
        "successful_events": total.succeeded,
        "failed_events": total.failed,
        "by_action": _redact_counts(total.by_action),
        "by_resource_type": _redact_counts(total.by_resource_type),
        "by_user": _redact_counts(total.by_user),
        "recent_failures": total.failures,
    }


def _redact_counts(counts: Counter[str]) -> dict[str, int]:
    """Return the counts by redacted name, largest first."""
    redacted: Counter[str] = Counter()
    for name, count in counts.items():
        redacted[redact(name)] += count
    return dict(redacted.most_common())


def _check_enabled(sources: Sources) -> None:
    if not sources.settings.enterprise_audit:
        raise Forbidden("The audit log can be queried only with LOKI_ENTERPRISE_AUDIT=true")


def _read_entries(log: AuditLog, file: AuditFile, exact: dict[str, str]) -> Iterator[Json]:
    """Yield the entries of a file, newest first; malformed lines are skipped.

    :param exact: keys and the texts that they must have.
    """
    for line in log.read_lines_backwards(file, holding=_compile_filters(exact)):
        try:
            entry = json_text.parse(line)
        except json_text.Damaged:
            continue
        if _is_entry(entry) and all(entry.get(key) == value for key, value in exact.items()):
            yield entry


def _compile_filters(exact: dict[str, str]) -> tuple[re.Pattern[bytes], ...]:
    """Compile what every matching line contains, so that other lines need not be parsed.

    Other writers may escape other characters than we do, or none. So of a value with characters
    that may be escaped, only the longest part without them is searched for.
    """
    patterns = []
    for key, value in exact.items():
        plain = max(_PLAIN.findall(value), key=len, default="")
        whole = rf'"{key}"\s*:\s*"{re.escape(value)}"'
        patterns.append(re.compile((whole if plain == value else re.escape(plain)).encode()))
    return tuple(patterns)


def _is_entry(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("action"), str)
        and isinstance(value.get("timestamp"), str)
        and parse_time(value["timestamp"]) is not None
    )


def _parse_timestamp(entry: Json) -> datetime:
    return parse_time(entry.get("timestamp")) or UNKNOWN


def _format_entry(entry: Json) -> EntryDict:
    """Return the documented fields with their types, and the entry's hash if it has one."""
    answer: EntryDict = {
        "timestamp": tidy_time(entry["timestamp"]),
        "action": redact(entry["action"]),
        "resource_type": redact(first_text(entry.get("resource_type"))),
        "resource_id": _redact_text(entry.get("resource_id")),
        "user_id": _redact_text(entry.get("user_id")),
        "token_id": _redact_text(entry.get("token_id")),
        "ip_address": _redact_text(entry.get("ip_address")),
        "user_agent": _redact_text(entry.get("user_agent")),
        "error": _redact_text(entry.get("error")),
        "success": entry.get("success") is not False,
        "details": redact_within(as_dict(entry.get("details"))),
    }
    if isinstance(entry.get(HASH), str):
        answer["_integrity_hash"] = redact(entry[HASH])
    return answer


def _redact_text(value: Any) -> str | None:
    return redact(value) if isinstance(value, str) else None


def _get_digest(sources: Sources, file: AuditFile, *, is_complete: bool) -> _Digest:
    """Return the counts of a whole file; shared, must not be changed.

    :param is_complete: whether no more entries will be appended to the file.
    """
    log = AuditLog(sources)
    version = log.get_version(file)
    if version is None:
        return _Digest()
    key = f"{sources.user.path}/{file.path}", version
    with _lock:
        digest = _digests.get(key)
    if digest is None and is_complete:
        digest = _load_digest(sources, file, version)
    if digest is None:
        digest = _Digest()
        for entry in _read_entries(log, file, {}):
            digest.count(entry)
        if version != log.get_version(file):
            return digest
        if is_complete:
            _save_digest(sources, file, version, digest)
    with _lock:
        _digests[key] = digest
    return digest


def _load_digest(sources: Sources, file: AuditFile, version: Version) -> _Digest | None:
    if sources.cache_folder is None:
        return None
    content = as_dict(Folder(sources.cache_folder).document(_get_cache_path(file)))
    if content.get("of") != _get_cache_key(version):
        return None
    by_action, by_resource_type, by_user = (Counter(as_dict(content.get(key))) for key in _COUNTERS)
    return _Digest(
        as_count(content.get("succeeded")),
        as_count(content.get("failed")),
        by_action,
        by_resource_type,
        by_user,
        cast(list[FailureDict], dicts_in(content.get("failures"))),
    )


def _save_digest(sources: Sources, file: AuditFile, version: Version, digest: _Digest) -> None:
    if sources.cache_folder is None:
        return
    content: Json = {
        "of": _get_cache_key(version),
        "succeeded": digest.succeeded,
        "failed": digest.failed,
        **{name: dict(getattr(digest, name)) for name in _COUNTERS},
        "failures": digest.failures,
    }
    try:
        WritableFolder(sources.cache_folder).write_json(_get_cache_path(file), content)
    except StorageError:
        return  # the store has logged it; the file is counted again next time


def _get_cache_path(file: AuditFile) -> str:
    return f"audit-digests/{file.name.removesuffix('.jsonl')}.json"


def _get_cache_key(version: Version) -> list[Any]:
    return [_CACHE_FORMAT, *version]
