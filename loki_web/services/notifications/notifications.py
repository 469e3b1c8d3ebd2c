"""List and acknowledge notifications, which the CLI writes (docs/files.md, section 14)."""

from typing import Any, NoReturn, NotRequired, TypedDict

from loki_web.errors import NotFound
from loki_web.services.context import Sources, WritableSources
from loki_web.services.ids import Identities, check_id
from loki_web.services.notifications import triggers
from loki_web.services.redaction import redact, redact_within
from loki_web.services.types import SuccessDict
from loki_web.store.coerce import Json, as_count, as_dict, as_flag, entries_under, first_text
from loki_web.store.derived import derived
from loki_web.store.times import sort_key, tidy_time

SEVERITIES = ("critical", "warning", "info")
_FILE = "notifications/active.json"


class NotificationDict(TypedDict):
    """A notification, redacted."""

    id: str
    severity: str
    message: str
    trigger: str
    timestamp: str
    acknowledged: bool
    trigger_id: NotRequired[str]
    iteration: NotRequired[int]
    data: NotRequired[Json]


class AcknowledgedDict(SuccessDict):
    """The answer to an acknowledgment."""

    notification_id: NotRequired[str]


class AcknowledgedManyDict(SuccessDict):
    """The answer to the acknowledgment of many.

    :ivar changed: the ids that were different before.
    """

    changed: list[str]


def list_notifications(
    sources: Sources,
    *,
    severity: str | None = None,
    acknowledged: bool | None = None,
    limit: int = 50,
    offset: int = 0,
) -> list[NotificationDict]:
    """Return the matching notifications, newest first; those without a time come last.

    :param severity: one of SEVERITIES; None for all.
    :param acknowledged: return only acknowledged or only unacknowledged ones; None for all.
    :param limit: how many to return at most.
    :param offset: how many of the matching ones to skip.
    """
    types = triggers.get_trigger_types(sources)
    entries = _identify(sources.project.document(_FILE))
    entries.sort(key=lambda item: sort_key(item[1].get("timestamp")), reverse=True)
    notifications = [_build_notification(identity, entry, types) for identity, entry in entries]
    return select_notifications(
        notifications, severity=severity, acknowledged=acknowledged, limit=limit, offset=offset
    )


def select_notifications(
    notifications: list[NotificationDict],
    *,
    severity: str | None,
    acknowledged: bool | None,
    limit: int,
    offset: int,
) -> list[NotificationDict]:
    """Return those of a list of notifications that `list_notifications` returns."""
    matching = [
        entry
        for entry in notifications
        if severity in (None, entry["severity"]) and acknowledged in (None, entry["acknowledged"])
    ]
    return matching[offset : offset + limit]


@derived
def count_unacknowledged(sources: Sources) -> int:
    """Return the number of notifications that nobody has acknowledged."""
    entries = _identify(sources.project.document(_FILE))
    return sum(not as_flag(entry.get("acknowledged")) for _, entry in entries)


def acknowledge_notification(sources: WritableSources, notification_id: str) -> AcknowledgedDict:
    """Mark every notification with this id as acknowledged. Repeating this has no effect.

    Ids contain trigger ids, which users choose, so an existing id is accepted in any form.

    :raises BadRequest: for an unknown id that is not a valid identifier.
    :raises NotFound: for any other unknown id.
    :raises StorageError: when the file is damaged or cannot be written; it is not changed then.
    """
    if not sources.project.exists(_FILE):
        _raise_not_found(notification_id)
    with sources.project.locked(_FILE):
        document = sources.project.document_for_update(_FILE)
        entries = _identify(document)
        if notification_id not in (identity for identity, _ in entries):
            _raise_not_found(notification_id)
        _store(sources, document, entries, {notification_id}, acknowledged=True)
    return {
        "success": True,
        "message": f"Notification {notification_id} acknowledged",
        "notification_id": notification_id,
    }


def acknowledge_notifications(
    sources: WritableSources, *, ids: list[str] | None, every: bool, acknowledged: bool
) -> AcknowledgedManyDict:
    """Mark many notifications as acknowledged or not, in one write. Unknown ids are skipped.

    :param ids: which; ignored if `every` is set.
    :return: `changed` has the ids that were different before: with them the call can be undone.
    :raises StorageError: when the file is damaged or cannot be written; it is not changed then.
    """
    id_set = set(ids or ())
    changed: list[str] = []
    if sources.project.exists(_FILE):
        with sources.project.locked(_FILE):
            document = sources.project.document_for_update(_FILE)
            entries = _identify(document)
            changed = [
                identity
                for identity, entry in entries
                if (every or identity in id_set)
                and as_flag(entry.get("acknowledged")) is not acknowledged
            ]
            if changed:
                _store(sources, document, entries, set(changed), acknowledged=acknowledged)
    word = "acknowledged" if acknowledged else "no longer acknowledged"
    message = f"{len(changed)} notifications {word}"
    return {"success": True, "message": message, "changed": list(dict.fromkeys(changed))}


def _store(
    sources: WritableSources,
    document: Any,
    entries: list[tuple[str, Json]],
    addressed: set[str],
    *,
    acknowledged: bool,
) -> None:
    """Write the file with the addressed entries marked, and its summary."""
    marked = [_mark(entry, acknowledged if name in addressed else None) for name, entry in entries]
    content = as_dict(document)
    summary = {**as_dict(content.get("summary")), **_summarize(marked)}
    sources.project.write_json(_FILE, {**content, "notifications": marked, "summary": summary})


def _raise_not_found(notification_id: str) -> NoReturn:
    raise NotFound(f"There is no notification {check_id(notification_id, 'id')}")


def _identify(document: Any) -> list[tuple[str, Json]]:
    """Return `(id, entry)` in the order of the file, with generated ids for entries without one."""
    identities = Identities("notif")
    return [
        (identities.assign(entry.get("id"), *_get_content(entry)), entry)
        for entry in entries_under(document, "notifications") or []
    ]


def _get_content(entry: Json) -> tuple[str, ...]:
    return (
        _get_trigger_id(entry),
        first_text(entry.get("message")),
        tidy_time(entry.get("timestamp")),
    )


def _get_trigger_id(entry: Json) -> str:
    return first_text(entry.get("trigger_id"), entry.get("trigger"), entry.get("type"))


def _build_notification(identity: str, entry: Json, types: dict[str, str]) -> NotificationDict:
    trigger_id = _get_trigger_id(entry)
    return {
        "id": identity,
        "severity": _normalize_severity(entry),
        "message": redact(first_text(entry.get("message"))),
        "trigger": redact(types.get(trigger_id, trigger_id)),
        "timestamp": tidy_time(entry.get("timestamp")),
        "acknowledged": as_flag(entry.get("acknowledged")),
        "trigger_id": redact(trigger_id),
        "iteration": as_count(entry.get("iteration")),
        "data": redact_within(as_dict(entry.get("data"))),
    }


def _normalize_severity(entry: Json) -> str:
    """Return the severity in lower case; unknown values become `info`."""
    word = first_text(entry.get("severity")).strip().lower()
    return word if word in SEVERITIES else "info"


def _mark(entry: Json, acknowledged: bool | None) -> Json:
    """Return the entry to be written. The CLI's checker fails on one without `trigger_id`.

    :param acknowledged: None to leave that as it is.
    """
    marked = {**entry, "trigger_id": _get_trigger_id(entry)}
    return marked if acknowledged is None else {**marked, "acknowledged": acknowledged}


def _summarize(entries: list[Json]) -> Json:
    unacknowledged = [entry for entry in entries if not as_flag(entry.get("acknowledged"))]
    severities = [_normalize_severity(entry) for entry in unacknowledged]
    counts = {severity: severities.count(severity) for severity in SEVERITIES}
    return {"total": len(entries), "unacknowledged": len(unacknowledged), **counts}
