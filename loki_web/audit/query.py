"""Questions to the audit log: entries newest first, and what they add up to."""

from datetime import date, timedelta
from typing import Any

from loki_web.errors import Forbidden
from loki_web.services.audit_digests import Digest, digest_of
from loki_web.services.audit_entries import entries_of, moment, shown
from loki_web.services.audit_files import audit_files
from loki_web.services.context import Sources
from loki_web.store.coerce import Json

_FAR = 1000  # entries to pass over, from which on it pays to know how many a file has


def entries(src: Sources, **question: Any) -> list[Json]:
    """As `matching`.

    :raises Forbidden: while LOKI_ENTERPRISE_AUDIT is off.
    """
    _refuse_unless_enabled(src)
    return matching(src, **question)


def matching(
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
    """
    wanted = {key: value for key, value in filters.items() if value is not None}
    files = audit_files(src.user)
    found: list[Json] = []
    for file in reversed(files):
        if (start_date and file.day < start_date) or (end_date and file.day > end_date):
            continue
        if offset >= _FAR and not wanted:
            total = digest_of(src, file, complete=file is not files[-1]).total
            if total <= offset:
                offset -= total
                continue
        for entry in entries_of(src.user, file, wanted):
            if offset:
                offset -= 1
                continue
            found.append(shown(entry))
            if len(found) == limit:
                return found
    return found


def summary(src: Sources, days: int) -> Json:
    """What happened in the last `days` times 24 hours.

    :raises Forbidden: while LOKI_ENTERPRISE_AUDIT is off.
    """
    _refuse_unless_enabled(src)
    since = src.now() - timedelta(days=days)
    files = audit_files(src.user)
    total = Digest()
    for file in reversed(files):
        if file.day > since.date():
            total.add(digest_of(src, file, complete=file is not files[-1]))
        elif file.day == since.date():
            for entry in entries_of(src.user, file, {}):
                if moment(entry) >= since:
                    total.count(entry)
    return {
        "period_days": days,
        "total_events": total.total,
        "successful_events": total.succeeded,
        "failed_events": total.failed,
        "by_action": dict(total.by_action.most_common()),
        "by_resource_type": dict(total.by_resource_type.most_common()),
        "by_user": dict(total.by_user.most_common()),
        "recent_failures": total.failures,
    }


def _refuse_unless_enabled(src: Sources) -> None:
    if not src.settings.enterprise_audit:
        raise Forbidden("The audit log can be queried only with LOKI_ENTERPRISE_AUDIT=true")
