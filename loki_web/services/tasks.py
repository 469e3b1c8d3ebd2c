"""The tasks in the queue files and the state file, one for each id (docs/files.md, section 4)."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NotRequired, TypedDict

from loki_web.services.context import Sources
from loki_web.services.ids import Identities
from loki_web.services.redaction import redact
from loki_web.services.session import state
from loki_web.store.coerce import Json, as_dict, as_number, entries_under, first_text
from loki_web.store.derived import derived, refreshed
from loki_web.store.times import parse_time, tidy_time

PENDING, IN_PROGRESS, REVIEW, DONE = "pending", "in_progress", "review", "done"

# Queue → status. Of an id in several queues the later entry counts, see `_is_later`.
_STATUS_OF_QUEUE = {
    "blocked": PENDING,
    "pending": PENDING,
    "in-progress": IN_PROGRESS,
    "review": REVIEW,
    "completed": DONE,
    "dead-letter": DONE,
    "failed": DONE,
}
QUEUES = tuple(_STATUS_OF_QUEUE)
_FAILED_QUEUES = ("failed", "dead-letter")
_STATE_KEYS = {
    "pending": "pending",
    "in-progress": "inProgress",
    "review": "review",
    "completed": "completed",
    "failed": "failed",
}
_LIST_ORDER = ("pending", "blocked", "in-progress", "review", "completed", "failed", "dead-letter")
_PRIORITY_WORDS = {"critical", "high", "medium", "low"}
_ORDER = {queue: position for position, queue in enumerate(_LIST_ORDER)}
_RANK = {queue: rank for rank, queue in enumerate(_STATUS_OF_QUEUE)}


class TaskDict(TypedDict):
    """A task. Texts are redacted; times are in ISO 8601, absent if unknown.

    :ivar position: from 0, within its status.
    """

    id: str
    title: str
    description: str
    status: str
    priority: str
    type: str
    position: int
    queue: NotRequired[str]
    failed: NotRequired[bool]
    source: NotRequired[str]
    provider: NotRequired[str]
    github_url: NotRequired[str]
    created_at: NotRequired[str]
    started_at: NotRequired[str]
    completed_at: NotRequired[str]
    assigned_agent_id: NotRequired[str]


@dataclass(frozen=True, slots=True)
class _Chosen:
    """The entry that is used for an id, and the task made from it."""

    queue: str
    entry: Json
    task: TaskDict


@dataclass(frozen=True, slots=True)
class TaskList:
    """All tasks of a folder. It is shared between threads: do not modify it.

    :ivar tasks: pending ones first. A task that has not changed is the same object as before.
    :ivar chosen: by task id.
    """

    tasks: list[TaskDict]
    chosen: dict[str, _Chosen]


def list_tasks(
    sources: Sources, *, status: str | None = None, limit: int | None = None, offset: int = 0
) -> list[TaskDict]:
    """Return the tasks of a folder, pending first.

    :param status: return only tasks of this status.
    :param limit: how many to return after skipping `offset`; None for all.
    """
    tasks = get_task_list(sources).tasks
    if status is not None:
        tasks = [task for task in tasks if task["status"] == status]
    return tasks[offset : None if limit is None else offset + limit]


@refreshed
def get_task_list(sources: Sources, before: TaskList | None) -> TaskList:
    """Merge the queue files and the state file; keep the tasks of entries that are unchanged.

    The state file is a copy: its entries are used only for ids in no queue, and only of queues
    that were not written after it.
    """
    queued: dict[str, tuple[str, Json]] = {}
    for identity, queue, entry in _read_queues(sources):
        other = queued.get(identity)
        if other is None or _is_later(sources, (queue, entry), other):
            queued[identity] = (queue, entry)
    chosen = dict(queued)
    for identity, queue, entry in _read_state_entries(sources):
        if identity in queued or sources.project.is_newer(_get_path(queue), state.DASHBOARD_FILE):
            continue
        other = chosen.get(identity)
        if other is None or _RANK[queue] > _RANK[other[0]]:
            chosen[identity] = (queue, entry)
    known = before.chosen if before else {}
    positions: Counter[str] = Counter()
    merged: dict[str, _Chosen] = {}
    for identity, (queue, entry) in sorted(chosen.items(), key=lambda item: _ORDER[item[1][0]]):
        status = _STATUS_OF_QUEUE[queue]
        merged[identity] = _build_chosen(
            identity, queue, entry, positions[status], known.get(identity)
        )
        positions[status] += 1
    return TaskList([choice.task for choice in merged.values()], merged)


def _is_later(sources: Sources, one: tuple[str, Json], other: tuple[str, Json]) -> bool:
    """Return whether an entry replaces another one with the same id, from an earlier queue.

    Ids repeat in each session, so the times of the entries decide; without them those of the
    files, and last the order of the queues.
    """
    moment, than = _get_last_moment(one[1]), _get_last_moment(other[1])
    if moment and than:
        return moment >= than
    return not sources.project.is_newer(_get_path(other[0]), _get_path(one[0]))


def _get_last_moment(entry: Json) -> datetime | None:
    moments = (parse_time(entry.get(name)) for names in _TIMES.values() for name in names)
    return max(filter(None, moments), default=None)


def _get_path(queue: str) -> str:
    return f"queue/{queue}.json"


def _build_chosen(
    identity: str, queue: str, entry: Json, position: int, before: _Chosen | None
) -> _Chosen:
    is_same = before is not None and (before.entry is entry or before.entry == entry)
    if before is None or before.queue != queue or not is_same:
        return _Chosen(queue, entry, _build_task(identity, queue, entry, position))
    if before.task["position"] == position:
        return before
    return _Chosen(queue, entry, {**before.task, "position": position})


@derived
def count_tasks(sources: Sources) -> dict[str, int]:
    """Return the number of tasks by `pending`, `in_progress`, `review`, `completed`, `failed`."""
    counts = dict.fromkeys((PENDING, IN_PROGRESS, REVIEW, "completed", "failed"), 0)
    for task in get_task_list(sources).tasks:
        done = "failed" if task["failed"] else "completed"
        counts[done if task["status"] == DONE else task["status"]] += 1
    return counts


@derived
def get_current_task(sources: Sources) -> str:
    """Return the title of the task in progress, `""` without one.

    An entry of type `iteration` stands for a whole iteration; it is used only if there is no other.
    """
    active = list_tasks(sources, status=IN_PROGRESS)
    for task in active:
        if task["type"] != "iteration":
            return task["title"]
    return active[0]["title"] if active else ""


def get_task_entries(value: Any) -> list[Json]:
    """Return the entries of a queue file: an array or a map by id, also under the key `tasks`."""
    entries = entries_under(value, "tasks")
    if entries is not None or not isinstance(value, dict):
        return entries or []
    mapped = value.get("tasks", value)
    if not isinstance(mapped, dict) or not all(isinstance(one, dict) for one in mapped.values()):
        return []
    return [{"id": identity, **entry} for identity, entry in mapped.items()]


def build_plain_task(identity: str, entry: Json, status: str, position: int) -> TaskDict:
    """Return the documented fields of a task that is stored outside the queues."""
    return _build_fields(identity, entry, status, position)


def _read_queues(sources: Sources) -> Iterator[tuple[str, str, Json]]:
    for queue in _STATUS_OF_QUEUE:
        yield from _read_queue(sources, queue)


@derived
def _read_queue(sources: Sources, queue: str) -> list[tuple[str, str, Json]]:
    """Return the entries of one queue file as `(id, queue, entry)`."""
    return list(_identify(queue, sources.project.document(_get_path(queue))))


@derived
def _read_state_entries(sources: Sources) -> list[tuple[str, str, Json]]:
    """Return the entries of the state file as `(id, queue, entry)`."""
    groups = as_dict(state.get_dashboard_state(sources).get("tasks"))
    return [
        entry for queue, key in _STATE_KEYS.items() for entry in _identify(queue, groups.get(key))
    ]


def _identify(queue: str, value: Any) -> Iterator[tuple[str, str, Json]]:
    identities = Identities(queue)
    for entry in get_task_entries(value):
        value = entry.get("id")
        content = (
            () if isinstance(value, str) and value else (_get_title(entry), _get_description(entry))
        )
        yield identities.assign(value, *content), queue, entry


def _build_task(identity: str, queue: str, entry: Json, position: int) -> TaskDict:
    task = _build_fields(identity, entry, _STATUS_OF_QUEUE[queue], position)
    task["queue"] = queue
    task["failed"] = queue in _FAILED_QUEUES
    return task


def _build_fields(identity: str, entry: Json, status: str, position: int) -> TaskDict:
    task: TaskDict = {
        "id": identity,
        "title": redact(_get_title(entry)),
        "description": redact(_get_description(entry)),
        "status": status,
        "priority": _get_priority(entry),
        "type": redact(first_text(entry.get("type"), default="task")),
        "position": position,
    }
    for key in ("source", "provider", "github_url"):
        if isinstance(entry.get(key), str):
            task[key] = redact(entry[key])
    for key, names in _TIMES.items():
        moment = next((tidy_time(entry[name]) for name in names if name in entry), "")
        if moment:
            task[key] = moment
    if isinstance(entry.get("claimedBy"), str):
        task["assigned_agent_id"] = redact(entry["claimedBy"])
    return task


_TIMES: dict[Literal["created_at", "started_at", "completed_at"], tuple[str, ...]] = {
    "created_at": ("created_at", "createdAt"),
    "started_at": ("startedAt", "claimedAt"),
    "completed_at": ("completedAt",),
}


def _get_title(entry: Json) -> str:
    payload = entry.get("payload")
    words = as_dict(payload)
    first_line = payload.strip().partition("\n")[0] if isinstance(payload, str) else None
    return first_text(
        entry.get("title"),
        words.get("action"),
        entry.get("action"),
        words.get("goal"),
        first_line,
        words.get("command"),
        entry.get("type"),
        default="Task",
    )


def _get_description(entry: Json) -> str:
    payload = entry.get("payload")
    words = as_dict(payload)
    goal = words.get("goal")
    return first_text(
        entry.get("description"),
        words.get("description"),
        goal if goal != _get_title(entry) else None,
        payload,
    )


def _get_priority(entry: Json) -> str:
    for value in (entry.get("priority"), as_dict(entry.get("payload")).get("priority")):
        if isinstance(value, str) and value.strip().lower() in _PRIORITY_WORDS:
            return value.strip().lower()
        number = as_number(value)
        if number is not None:
            return "high" if number >= 8 else "medium" if number >= 4 else "low"
    return "medium"
