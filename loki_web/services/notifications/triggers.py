"""The triggers of notifications, which the CLI reads on every run (docs/files.md, section 14)."""

from collections.abc import Mapping
from typing import Any, NotRequired, TypedDict, cast

from loki_web.errors import BadRequest, NotFound
from loki_web.services.context import Sources, WritableSources
from loki_web.services.ids import Identities
from loki_web.services.redaction import redact, redact_within
from loki_web.services.types import SuccessDict
from loki_web.store import json_text
from loki_web.store.coerce import Json, as_dict, as_flag, entries_under, first_amount, first_text

_FILE = "notifications/triggers.json"
_MAX_TRIGGERS = 1000
_MAX_BYTES = 4 * 1024 * 1024  # of the file: a trigger may have any number of further keys
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
# Documented in the API reference, but not known to the CLI's checker, which ignores it.
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
_EQUIVALENTS = {"budget_limit": "budget_threshold", "budget_threshold": "budget_limit"}
OWN_FIELDS = ("threshold_pct", "max_no_progress", "max_per_hour")


class TriggerDict(TypedDict):
    """A trigger, redacted, with a threshold of None if its type has none."""

    id: str
    enabled: bool
    threshold: float | None
    description: str
    type: NotRequired[str]
    severity: NotRequired[str]
    message: NotRequired[str]


class TriggersDict(TypedDict):
    """All triggers."""

    triggers: list[TriggerDict]


def list_triggers(sources: Sources) -> TriggersDict:
    """Return `triggers`: those of the file, or the defaults (docs/files.md, section 17)."""
    return {"triggers": [_present(trigger) for trigger in _parse(sources.project.document(_FILE))]}


def get_trigger_types(sources: Sources) -> dict[str, str]:
    """Return the types of the triggers in the file, by trigger id (docs/files.md, section 17)."""
    document = sources.project.document(_FILE)
    triggers = [] if entries_under(document, "triggers") is None else _parse(document)
    return {trigger["id"]: trigger["type"] for trigger in triggers}


def update_triggers(sources: WritableSources, changes: list[Json]) -> SuccessDict:
    """Merge changes into the stored triggers; all of them or none.

    A change names its trigger by id or, if no id matches, by type: `context_threshold` is the first
    trigger of that type, and `budget_limit` the one of type `budget_threshold`. Fields that a
    change leaves out, or sends as GET returns them, are not changed. An unknown trigger is added if
    the change has a type or its id is a documented one.

    :param changes: partial triggers, each with an `id`.
    :raises NotFound: for an unknown id without a type.
    :raises BadRequest: when the type of an existing trigger would change, or for more than 1000
        triggers or 4 MB.
    :raises StorageError: when the file is damaged or cannot be written.
    """
    # Fails before the lock file is created.
    _merge(_parse(sources.project.document(_FILE)), changes)
    with sources.project.locked(_FILE):
        document = sources.project.document_for_update(_FILE)
        merged = _merge(_parse(document), changes)
        if len(json_text.dump(merged)) > _MAX_BYTES:
            raise BadRequest("The triggers would be larger than 4 MB")
        sources.project.write_json(_FILE, {**as_dict(document), "triggers": merged})
    return {"success": True, "message": "Triggers updated"}


def _parse(document: Any) -> list[Json]:
    """Return the triggers of a file, each with all fields that the CLI's checker needs."""
    entries = entries_under(document, "triggers")
    if entries is None:
        return [dict(trigger) for trigger in _DEFAULTS]
    identities = Identities("trigger")
    return [_complete(entry, identities) for entry in entries]


def _complete(entry: Json, identities: Identities) -> Json:
    kind = first_text(entry.get("type"))
    identity = identities.assign(entry.get("id") or kind, first_text(entry.get("message")))
    kind = first_text(kind, _infer_type(identity), default=identity)
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
    own = _get_own_field(kind)
    if own:
        complete[own] = first_amount(entry.get(own), entry.get("threshold"), template[own])
    return complete


def _present(trigger: Json) -> TriggerDict:
    """Return what GET shows of a trigger of `_complete`: also the fields of the file, redacted."""
    own = _get_own_field(trigger["type"])
    names = (own,) if own else ("threshold", *OWN_FIELDS)
    documented: TriggerDict = {
        "id": trigger["id"],
        "enabled": trigger["enabled"],
        "threshold": first_amount(*(trigger.get(name) for name in names)),
        "description": redact(first_text(trigger.get("description"), trigger["message"])),
        "type": redact(trigger["type"]),
    }
    return cast(TriggerDict, {**redact_within(trigger), **documented})


def _merge(triggers: list[Json], changes: list[Json]) -> list[Json]:
    merged = list(triggers)
    for change in changes:
        index = _find_index(merged, change["id"])
        if index is None:
            merged.append(_apply(_create(change), change))
        else:
            merged[index] = _apply(merged[index], change)
    if len(merged) > _MAX_TRIGGERS:
        raise BadRequest(f"There can be {_MAX_TRIGGERS} triggers at most")
    return merged


def _find_index(triggers: list[Json], identity: str) -> int | None:
    """Return the index of the trigger with that id, else of the first one of that type."""
    ids = [trigger["id"] for trigger in triggers]
    kinds = [trigger["type"] for trigger in triggers]
    for names, name in ((ids, identity), (kinds, identity), (kinds, _EQUIVALENTS.get(identity))):
        if name in names:
            return names.index(name)
    return None


def _create(change: Json) -> Json:
    identity = change["id"]
    kind = change.get("type") or _infer_type(identity)
    if not kind:
        raise NotFound(f"There is no trigger {identity!r}; a new one needs a type")
    entry = {"id": identity, "type": kind, "description": change.get("description")}
    return _complete(entry, Identities("trigger"))


def _apply(trigger: Json, change: Json) -> Json:
    """Return the trigger with the fields of the change that differ from what GET returns.

    So a client can send back whole triggers: a redacted text does not replace the original, and of
    the two names of a threshold only the changed one counts.
    """
    presented: Mapping[str, object] = _present(trigger)
    changed = {
        key: value
        for key, value in change.items()
        if not (key == "id" or (key in presented and presented[key] == value))
        and not (value is None and key in ("threshold", *OWN_FIELDS))
    }
    if "type" in changed:
        raise BadRequest(f"The type of trigger {trigger['id']!r} cannot be changed")
    own = _get_own_field(trigger["type"])
    threshold = changed.get("threshold", changed.get(own) if own else None)
    if threshold is not None:
        changed["threshold"] = threshold
        if own:
            changed[own] = threshold
    return {**trigger, **changed}


def _get_own_field(kind: str) -> str | None:
    """Return the field that the CLI's checker reads the threshold of this type from."""
    template = _TEMPLATES.get(kind, {})
    return next((name for name in OWN_FIELDS if name in template), None)


def _infer_type(identity: str) -> str | None:
    """Return the type of the default trigger with that id, or the type that the id itself is."""
    for kind, template in _TEMPLATES.items():
        if identity in (template["id"], kind, _EQUIVALENTS.get(kind)):
            return str(kind)
    return None
