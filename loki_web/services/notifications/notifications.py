"""What the CLI's checker found worth telling, and that somebody has seen it (`spec` 14)."""

from typing import Any, NoReturn

from loki_web.errors import NotFound
from loki_web.services.context import Sources
from loki_web.services.ids import Identities, check_id
from loki_web.services.notifications import triggers
from loki_web.services.redaction import redact, redact_within
from loki_web.store.coerce import Json, as_count, as_dict, as_flag, entries_under, first_text
from loki_web.store.folder import Folder
from loki_web.store.times import sort_key, tidy_time

SEVERITIES = ("critical", "warning", "info")
_FILE = "notifications/active.json"


def list_notifications(
    folder: Folder,
    *,
    severity: str | None = None,
    acknowledged: bool | None = None,
    limit: int = 50,
    offset: int = 0,
) -> list[Json]:
    """The notifications that match, newest first; those without a time come last."""
    types = triggers.get_trigger_types(folder)
    entries = _identified(folder.document(_FILE))
    entries.sort(key=lambda found: sort_key(found[1].get("timestamp")), reverse=True)
    listed = [_notification(identity, entry, types) for identity, entry in entries]
    chosen = [
        entry
        for entry in listed
        if severity in (None, entry["severity"]) and acknowledged in (None, entry["acknowledged"])
    ]
    return chosen[offset : offset + limit]


def acknowledge_notification(src: Sources, notification_id: str) -> Json:
    """Mark every notification with this id as seen; to do it twice is no error.

    Ids are made of trigger ids, which users choose: any id that is listed can be acknowledged.

    :raises BadRequest: for an id that is not listed and cannot be one of ours.
    :raises NotFound: for one that is not listed.
    :raises StorageError: when the file is damaged or cannot be written; it stays as it is.
    """
    folder = src.project
    if not folder.exists(_FILE):
        _refuse(notification_id)
    with folder.locked(_FILE):
        document = folder.document_for_update(_FILE)
        entries = _identified(document)
        if notification_id not in (identity for identity, _ in entries):
            _refuse(notification_id)
        marked = [_marked(entry, identity == notification_id) for identity, entry in entries]
        kept = as_dict(document)
        summary = {**as_dict(kept.get("summary")), **_summary(marked)}
        folder.write_json(_FILE, {**kept, "notifications": marked, "summary": summary})
    return {
        "success": True,
        "message": f"Notification {notification_id} acknowledged",
        "notification_id": notification_id,
    }


def _refuse(notification_id: str) -> NoReturn:
    raise NotFound(f"There is no notification {check_id(notification_id, 'id')}")


def _identified(document: Any) -> list[tuple[str, Json]]:
    """`(id, entry)` in the order of the file; an entry without an id gets one that stays."""
    identities = Identities("notif")
    return [
        (identities.assign(entry.get("id"), *_content(entry)), entry)
        for entry in entries_under(document, "notifications") or []
    ]


def _content(entry: Json) -> tuple[str, ...]:
    return (_trigger_id(entry), first_text(entry.get("message")), tidy_time(entry.get("timestamp")))


def _trigger_id(entry: Json) -> str:
    return first_text(entry.get("trigger_id"), entry.get("trigger"), entry.get("type"))


def _notification(identity: str, entry: Json, types: dict[str, str]) -> Json:
    trigger_id = _trigger_id(entry)
    return {
        "id": identity,
        "severity": _severity(entry),
        "message": redact(first_text(entry.get("message"))),
        "trigger": redact(types.get(trigger_id, trigger_id)),
        "timestamp": tidy_time(entry.get("timestamp")),
        "acknowledged": as_flag(entry.get("acknowledged")),
        "trigger_id": redact(trigger_id),
        "iteration": as_count(entry.get("iteration")),
        "data": redact_within(as_dict(entry.get("data"))),
    }


def _severity(entry: Json) -> str:
    """One of the documented three; what is none of them is no alarm."""
    word = first_text(entry.get("severity")).strip().lower()
    return word if word in SEVERITIES else "info"


def _marked(entry: Json, seen: bool) -> Json:
    """As it goes back into the file, where the checker fails on one without `trigger_id`."""
    marked = {**entry, "trigger_id": _trigger_id(entry)}
    return {**marked, "acknowledged": True} if seen else marked


def _summary(entries: list[Json]) -> Json:
    unseen = [entry for entry in entries if not as_flag(entry.get("acknowledged"))]
    severities = [_severity(entry) for entry in unseen]
    counts = {severity: severities.count(severity) for severity in SEVERITIES}
    return {"total": len(entries), "unacknowledged": len(unseen), **counts}
