"""When to notify: `triggers.json`, read by the CLI's checker on every run (`spec` 14)."""

from typing import Any

from loki_web.errors import BadRequest, NotFound
from loki_web.services.context import Sources
from loki_web.services.ids import Identities
from loki_web.services.redaction import redact, redact_within
from loki_web.store import json_text
from loki_web.store.coerce import Json, as_dict, as_flag, entries_under, first_amount, first_text
from loki_web.store.folder import Folder

_FILE = "notifications/triggers.json"
_MOST = 1000
_MOST_BYTES = 4 * 1024 * 1024  # of the file, in which further keys of a trigger are kept
_DEFAULTS: tuple[Json, ...] = (
    {
        "id": "budget-80pct",
        "type": "budget_threshold",
        "enabled": True,
        "threshold_pct": 80,
        "severity": "warning",
        "message": "Budget usage exceeded {pct}%",
    },
    {
        "id": "context-90pct",
        "type": "context_threshold",
        "enabled": True,
        "threshold_pct": 90,
        "severity": "critical",
        "message": "Context window at {pct}% capacity",
    },
    {
        "id": "sensitive-file",
        "type": "file_access",
        "enabled": True,
        "patterns": ["\\.env", "credentials", "\\.pem$", "\\.key$", "secret"],
        "severity": "critical",
        "message": "Sensitive file accessed: {file}",
    },
    {
        "id": "quality-gate-fail",
        "type": "quality_gate",
        "enabled": True,
        "severity": "warning",
        "message": "Quality gate failed: {gate}",
    },
    {
        "id": "stuck-iteration",
        "type": "stagnation",
        "enabled": True,
        "max_no_progress": 3,
        "severity": "warning",
        "message": "No progress detected for {count} consecutive iterations",
    },
    {
        "id": "compaction-freq",
        "type": "compaction_frequency",
        "enabled": True,
        "max_per_hour": 3,
        "severity": "warning",
        "message": "Frequent compactions: {count} in the last hour",
    },
)
# The reference has it, the checker does not know it; it is kept for whoever reads the file.
_TASK_FAILURE: Json = {
    "id": "task_failure",
    "type": "task_failure",
    "enabled": True,
    "threshold": 3,
    "severity": "warning",
    "message": "{count} consecutive task failures",
    "description": "Alert after N consecutive task failures",
}
_TEMPLATES = {template["type"]: template for template in (*_DEFAULTS, _TASK_FAILURE)}
_TWINS = {"budget_limit": "budget_threshold", "budget_threshold": "budget_limit"}
OWN_FIELDS = ("threshold_pct", "max_no_progress", "max_per_hour")


def list_triggers(folder: Folder) -> Json:
    """`{triggers: [...]}`, the defaults where no file has any (`spec` 17)."""
    return {"triggers": [_shown(trigger) for trigger in _stored(folder.document(_FILE))]}


def get_trigger_types(folder: Folder) -> dict[str, str]:
    """Trigger id → what it watches, for the triggers of the file (`spec` 17)."""
    document = folder.document(_FILE)
    known = [] if entries_under(document, "triggers") is None else _stored(document)
    return {trigger["id"]: trigger["type"] for trigger in known}


def update_triggers(src: Sources, changes: list[Json]) -> Json:
    """Merge changes into the stored triggers; all of them or none.

    A change names its trigger by id or, where no id matches, by type: `context_threshold` means
    the first trigger of that type, and `budget_limit` the one of type `budget_threshold`. What a
    change leaves out, or sends as GET shows it, stays as stored. What it names and nobody has is
    added if its type is known: from the change itself, or because its id is a documented one.

    :raises NotFound: for an unknown id without a type: nothing could tell what it watches.
    :raises BadRequest: when an existing trigger would change its type, or there is too much.
    :raises StorageError: when the file is damaged or cannot be written.
    """
    folder = src.project
    _merged(_stored(folder.document(_FILE)), changes)  # refused without touching the disk
    with folder.locked(_FILE):
        document = folder.document_for_update(_FILE)
        merged = _merged(_stored(document), changes)
        if len(json_text.dump(merged)) > _MOST_BYTES:
            raise BadRequest("The triggers would be larger than 4 MB")
        folder.write_json(_FILE, {**as_dict(document), "triggers": merged})
    return {"success": True, "message": "Triggers updated"}


def _stored(document: Any) -> list[Json]:
    """The triggers of a file, each with all that the checker needs."""
    entries = entries_under(document, "triggers")
    if entries is None:
        return [dict(trigger) for trigger in _DEFAULTS]
    identities = Identities("trigger")
    return [_complete(entry, identities) for entry in entries]


def _complete(entry: Json, identities: Identities) -> Json:
    kind = first_text(entry.get("type"))
    identity = identities.assign(entry.get("id") or kind, first_text(entry.get("message")))
    kind = first_text(kind, _type_meant_by(identity), default=identity)
    template = _TEMPLATES.get(kind, {})
    description = entry.get("description")
    complete = {
        **template,
        **entry,
        "id": identity,
        "type": kind,
        "enabled": as_flag(entry.get("enabled"), default=True),
        "severity": first_text(entry.get("severity"), template.get("severity"), default="warning"),
        "message": first_text(
            entry.get("message"), template.get("message"), description, default=f"{kind} fired"
        ),
    }
    own = _own_field(kind)
    if own:
        complete[own] = first_amount(entry.get(own), entry.get("threshold"), template[own])
    return complete


def _shown(trigger: Json) -> Json:
    own = _own_field(trigger["type"])
    names = (own,) if own else ("threshold", *OWN_FIELDS)
    return {
        **redact_within(trigger),
        "id": trigger["id"],
        "type": redact(trigger["type"]),
        "threshold": first_amount(*(trigger.get(name) for name in names)),
        "description": redact(first_text(trigger.get("description"), trigger["message"])),
    }


def _merged(stored: list[Json], changes: list[Json]) -> list[Json]:
    merged = list(stored)
    for change in changes:
        place = _place(merged, change["id"])
        if place is None:
            merged.append(_applied(_new(change), change))
        else:
            merged[place] = _applied(merged[place], change)
    if len(merged) > _MOST:
        raise BadRequest(f"There can be {_MOST} triggers at most")
    return merged


def _place(stored: list[Json], identity: str) -> int | None:
    """The index of the trigger with that id, or else of the first one of that type."""
    ids = [trigger["id"] for trigger in stored]
    kinds = [trigger["type"] for trigger in stored]
    for names, name in ((ids, identity), (kinds, identity), (kinds, _TWINS.get(identity))):
        if name in names:
            return names.index(name)
    return None


def _new(change: Json) -> Json:
    identity = change["id"]
    kind = change.get("type") or _type_meant_by(identity)
    if not kind:
        raise NotFound(f"There is no trigger {identity!r}; a new one needs a type")
    new = {"id": identity, "type": kind, "description": change.get("description")}
    return _complete(new, Identities("trigger"))


def _applied(trigger: Json, change: Json) -> Json:
    """The trigger with what differs from the way GET shows it.

    So a client that sends back whole triggers changes only what it changed: neither texts that
    were redacted for it nor a threshold that has two names.
    """
    shown = _shown(trigger)
    changed = {
        key: value
        for key, value in change.items()
        if not (key == "id" or (key in shown and shown[key] == value))
        and not (value is None and key in ("threshold", *OWN_FIELDS))
    }
    if "type" in changed:
        raise BadRequest(f"The type of trigger {trigger['id']!r} cannot be changed")
    own = _own_field(trigger["type"])
    threshold = changed.get("threshold", changed.get(own) if own else None)
    if threshold is not None:
        changed["threshold"] = threshold
        if own:
            changed[own] = threshold
    return {**trigger, **changed}


def _own_field(kind: str) -> str | None:
    """The field in which the checker looks for the threshold of such a trigger."""
    template = _TEMPLATES.get(kind, {})
    return next((name for name in OWN_FIELDS if name in template), None)


def _type_meant_by(identity: str) -> str | None:
    """The type that a default id has, or that the id itself names."""
    for kind, template in _TEMPLATES.items():
        if identity in (template["id"], kind, _TWINS.get(kind)):
            return str(kind)
    return None
