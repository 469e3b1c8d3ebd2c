"""The audit log is read here: entries newest first, and what they add up to."""

import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from loki_web.errors import Forbidden
from loki_web.services.audit_chain import HASH
from loki_web.services.audit_files import AuditFile, audit_files
from loki_web.services.redaction import redact
from loki_web.services.sources import Sources
from loki_web.store import json_text
from loki_web.store.files import Version
from loki_web.store.folder import Folder
from loki_web.store.shapes import Json, as_dict, first_text
from loki_web.store.times import parse_time, tidy_time

RECENT_FAILURES = 10
_FILTERS = ("action", "resource_type", "resource_id")
_OPTIONAL = ("resource_id", "user_id", "token_id", "ip_address", "user_agent", "error")


def entries(
    src: Sources,
    *,
    start_date: date | None = None,
    end_date: date | None = None,
    limit: int = 100,
    offset: int = 0,
    **filters: str | None,
) -> list[Json]:
    """Entries of the days from `start_date` to `end_date` (UTC, both included), newest first.

    :param filters: `action`, `resource_type` and `resource_id`, which match exactly.
    :raises Forbidden: while LOKI_ENTERPRISE_AUDIT is off.
    """
    _refuse_unless_enabled(src)
    wanted = {key: value for key, value in filters.items() if value is not None}
    found: list[Json] = []
    for entry in _newest_first(src.user, start_date, end_date, wanted):
        if offset:
            offset -= 1
            continue
        found.append(_shown(entry))
        if len(found) == limit:
            break
    return found


def summary(src: Sources, days: int) -> Json:
    """What happened in the last `days` times 24 hours.

    :raises Forbidden: while LOKI_ENTERPRISE_AUDIT is off.
    """
    _refuse_unless_enabled(src)
    since = src.now() - timedelta(days=days)
    total = Digest()
    for file in reversed(audit_files(src.user)):
        if file.day >= since.date():
            total.add(_digests.of(src.user, file, since if file.day == since.date() else None))
    return {
        "period_days": days,
        "total_events": total.succeeded + total.failed,
        "successful_events": total.succeeded,
        "failed_events": total.failed,
        "by_action": dict(total.by_action.most_common()),
        "by_resource_type": dict(total.by_resource_type.most_common()),
        "by_user": dict(total.by_user.most_common()),
        "recent_failures": total.failures,
    }


@dataclass
class Digest:
    """What the entries of a file add up to.

    :param failures: the newest RECENT_FAILURES, newest first.
    """

    succeeded: int = 0
    failed: int = 0
    by_action: Counter[str] = field(default_factory=Counter)
    by_resource_type: Counter[str] = field(default_factory=Counter)
    by_user: Counter[str] = field(default_factory=Counter)
    failures: list[Json] = field(default_factory=list)

    def count(self, entry: Json) -> None:
        """Take in one entry; they come newest first."""
        self.by_action[first_text(entry.get("action"))[:200]] += 1
        self.by_resource_type[first_text(entry.get("resource_type"))[:200]] += 1
        who = first_text(entry.get("user_id"), entry.get("token_id"), default="anonymous")
        self.by_user[who[:200]] += 1
        if entry.get("success") is not False:
            self.succeeded += 1
            return
        self.failed += 1
        if len(self.failures) < RECENT_FAILURES:
            shown = _shown(entry)
            keys = ("timestamp", "action", "resource_type", "error")
            self.failures.append({key: shown[key] for key in keys})

    def add(self, older: "Digest") -> None:
        self.succeeded += older.succeeded
        self.failed += older.failed
        self.by_action += older.by_action
        self.by_resource_type += older.by_resource_type
        self.by_user += older.by_user
        self.failures = (self.failures + older.failures)[:RECENT_FAILURES]


class _Digests:
    """The digests of files that have not changed since they were made."""

    _MOST = 1000

    def __init__(self) -> None:
        self._held: OrderedDict[str, tuple[Version, Digest]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, user: Folder, file: AuditFile, since: datetime | None) -> Digest:
        """:param since: count only later entries; such a digest is not kept."""
        version = user.version(file.path)
        key = f"{user.path}/{file.path}"
        held = self._held.get(key)
        if since is None and held and held[0] == version:
            return held[1]
        digest = Digest()
        for entry in _entries_of(user, file, {}):
            if since is None or _moment(entry) >= since:
                digest.count(entry)
        if since is None and version is not None and version == user.version(file.path):
            with self._lock:
                self._held[key] = version, digest
                while len(self._held) > self._MOST:
                    self._held.popitem(last=False)
        return digest


_digests = _Digests()


def _refuse_unless_enabled(src: Sources) -> None:
    if not src.settings.enterprise_audit:
        raise Forbidden("The audit log can be queried only with LOKI_ENTERPRISE_AUDIT=true")


def _newest_first(
    user: Folder, start: date | None, end: date | None, wanted: dict[str, str]
) -> Iterator[Json]:
    for file in reversed(audit_files(user)):
        if (start is None or file.day >= start) and (end is None or file.day <= end):
            yield from _entries_of(user, file, wanted)


def _entries_of(user: Folder, file: AuditFile, wanted: dict[str, str]) -> Iterator[Json]:
    """The entries of a file, newest first; lines that are none are left out."""
    holding = tuple(json_text.dump_line(value).rstrip(b"\n") for value in wanted.values())
    for line in user.lines_backwards(file.path, holding=holding):
        try:
            entry = json_text.parse(line)
        except json_text.Damaged:
            continue
        if _is_entry(entry) and all(entry.get(key) == value for key, value in wanted.items()):
            yield entry


def _is_entry(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("action"), str)
        and isinstance(value.get("timestamp"), str)
        and parse_time(value["timestamp"]) is not None
    )


def _moment(entry: Json) -> datetime:
    found = parse_time(entry["timestamp"])
    assert found is not None  # noqa: S101  # `_is_entry` has seen to it
    return found


def _shown(entry: Json) -> Json:
    shown: Json = {
        "timestamp": tidy_time(entry["timestamp"]),
        "action": entry["action"],
        "resource_type": first_text(entry.get("resource_type")),
        **{key: _text_or_none(entry.get(key)) for key in _OPTIONAL},
        "success": entry.get("success") is not False,
        "details": as_dict(entry.get("details")),
    }
    if isinstance(entry.get(HASH), str):
        shown[HASH] = entry[HASH]
    return shown


def _text_or_none(value: Any) -> str | None:
    return redact(value) if isinstance(value, str) else None
