"""Tasks from the queue files and the state file, one entry an id (`spec` 4)."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from loki_web.services.ids import Identities
from loki_web.services.redaction import redact
from loki_web.services.session import state
from loki_web.store.coerce import Json, as_dict, as_number, entries_under, first_text
from loki_web.store.derived import derived, refreshed
from loki_web.store.folder import Folder
from loki_web.store.times import tidy_time

PENDING, IN_PROGRESS, REVIEW, DONE = "pending", "in_progress", "review", "done"

# Queue → status, weakest first: an id in several queues is where the last of them says.
_STATUS_OF_QUEUE = {
    "blocked": PENDING,
    "pending": PENDING,
    "in-progress": IN_PROGRESS,
    "review": REVIEW,
    "completed": DONE,
    "dead-letter": DONE,
    "failed": DONE,
}
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
_ORDER = {queue: place for place, queue in enumerate(_LIST_ORDER)}
_STRENGTH = {queue: strength for strength, queue in enumerate(_STATUS_OF_QUEUE)}


@dataclass(frozen=True, slots=True)
class _Chosen:
    """The entry that counts for an id, and the task that was made of it."""

    queue: str
    entry: Json
    task: Json


@dataclass(frozen=True, slots=True)
class TaskList:
    """All tasks of a folder; shared, not to be changed.

    :ivar tasks: pending ones first. A task that has not changed is the same object as before.
    """

    tasks: list[Json]
    chosen: dict[str, _Chosen]


def list_tasks(
    folder: Folder, *, status: str | None = None, limit: int | None = None, offset: int = 0
) -> list[Json]:
    """All tasks, pending ones first; only those of one status where it is given."""
    listed = get_task_list(folder).tasks
    if status is not None:
        listed = [task for task in listed if task["status"] == status]
    return listed[offset : None if limit is None else offset + limit]


@refreshed
def get_task_list(folder: Folder, before: TaskList | None) -> TaskList:
    """Merge the queue files and the state file; what is equal to before is not made again."""
    queued: dict[str, tuple[str, Json]] = {}
    for identity, queue, entry in _queue_entries(folder):
        held = queued.get(identity)
        if held is None or _STRENGTH[queue] > _STRENGTH[held[0]]:
            queued[identity] = (queue, entry)
    chosen = dict(queued)
    for identity, queue, entry in _state_entries(folder):
        held = chosen.get(identity)
        if identity not in queued and (held is None or _STRENGTH[queue] > _STRENGTH[held[0]]):
            chosen[identity] = (queue, entry)
    known = before.chosen if before else {}
    positions: Counter[str] = Counter()
    made: dict[str, _Chosen] = {}
    for identity, (queue, entry) in sorted(chosen.items(), key=lambda one: _ORDER[one[1][0]]):
        status = _STATUS_OF_QUEUE[queue]
        made[identity] = _made(identity, queue, entry, positions[status], known.get(identity))
        positions[status] += 1
    return TaskList([one.task for one in made.values()], made)


def _made(identity: str, queue: str, entry: Json, position: int, before: _Chosen | None) -> _Chosen:
    is_same = before is not None and (before.entry is entry or before.entry == entry)
    if before is None or before.queue != queue or not is_same:
        return _Chosen(queue, entry, _task(identity, queue, entry, position))
    if before.task["position"] == position:
        return before
    return _Chosen(queue, entry, {**before.task, "position": position})


@derived
def count_tasks(folder: Folder) -> dict[str, int]:
    """How many tasks there are: `pending`, `in_progress`, `review`, `completed` and `failed`."""
    found = dict.fromkeys((PENDING, IN_PROGRESS, REVIEW, "completed", "failed"), 0)
    for task in get_task_list(folder).tasks:
        done = "failed" if task["failed"] else "completed"
        found[done if task["status"] == DONE else task["status"]] += 1
    return found


@derived
def get_current_task(folder: Folder) -> str:
    """The title of what is being worked on: the first entry that is not a whole iteration."""
    active = list_tasks(folder, status=IN_PROGRESS)
    for task in active:
        if task["type"] != "iteration":
            return str(task["title"])
    return str(active[0]["title"]) if active else ""


def get_task_entries(value: Any) -> list[Json]:
    """The entries of a queue file in either form, bare or wrapped."""
    return entries_under(value, "tasks") or []


def build_plain_task(identity: str, entry: Json, status: str, position: int) -> Json:
    """The documented fields of a task that is kept outside the queues."""
    return _fields(identity, entry, status, position)


def _queue_entries(folder: Folder) -> Iterator[tuple[str, str, Json]]:
    for queue in _STATUS_OF_QUEUE:
        yield from _entries_of(folder, queue)


@derived
def _entries_of(folder: Folder, queue: str) -> list[tuple[str, str, Json]]:
    """The entries of one queue file, each with its id and the name of the queue."""
    return list(_identified(queue, folder.document(f"queue/{queue}.json")))


@derived
def _state_entries(folder: Folder) -> list[tuple[str, str, Json]]:
    """Those of the state file: it lags behind the queues, so these win."""
    groups = as_dict(state.get_dashboard_state(folder).get("tasks"))
    return [
        entry for queue, key in _STATE_KEYS.items() for entry in _identified(queue, groups.get(key))
    ]


def _identified(queue: str, value: Any) -> Iterator[tuple[str, str, Json]]:
    identities = Identities(queue)
    for entry in get_task_entries(value):
        own = entry.get("id")
        content = () if isinstance(own, str) and own else (_title(entry), _description(entry))
        yield identities.assign(own, *content), queue, entry


def _task(identity: str, queue: str, entry: Json, position: int) -> Json:
    task = _fields(identity, entry, _STATUS_OF_QUEUE[queue], position)
    task["queue"] = queue
    task["failed"] = queue in _FAILED_QUEUES
    return task


def _fields(identity: str, entry: Json, status: str, position: int) -> Json:
    task: Json = {
        "id": identity,
        "title": redact(_title(entry)),
        "description": redact(_description(entry)),
        "status": status,
        "priority": _priority(entry),
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


_TIMES = {
    "created_at": ("created_at", "createdAt"),
    "started_at": ("startedAt", "claimedAt"),
    "completed_at": ("completedAt",),
}


def _title(entry: Json) -> str:
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


def _description(entry: Json) -> str:
    payload = entry.get("payload")
    words = as_dict(payload)
    goal = words.get("goal")
    return first_text(
        entry.get("description"),
        words.get("description"),
        goal if goal != _title(entry) else None,
        payload,
    )


def _priority(entry: Json) -> str:
    for value in (entry.get("priority"), as_dict(entry.get("payload")).get("priority")):
        if isinstance(value, str) and value.strip().lower() in _PRIORITY_WORDS:
            return value.strip().lower()
        number = as_number(value)
        if number is not None:
            return "high" if number >= 8 else "medium" if number >= 4 else "low"
    return "medium"
