"""The tasks in the queue files and the state file, one for each id (docs/files.md, section 4)."""

import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from hashlib import blake2b
from typing import Any, Literal, NamedTuple, NotRequired, TypedDict

import orjson

from loki_web.services.context import Sources
from loki_web.services.ids import Identities
from loki_web.services.redaction import redact, redact_name
from loki_web.services.session import state
from loki_web.store.coerce import Json, as_count, as_dict, as_number, entries_in, first_text
from loki_web.store.collection import BULK
from loki_web.store.derived import derived, refreshed
from loki_web.store.look import recording
from loki_web.store.snapshot import Snapshot
from loki_web.store.times import parse_time, tidy_time

_STORED, _FORMAT = "tasks", "4"  # of the tasks in the derived index
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
_WORDS = ("queue", "status", "priority", "type")  # of a task
_FAILED_QUEUES = ("failed", "dead-letter")
_SINGLE_FILE = re.compile(r"task-[0-9]{1,9}\.json")
_QUEUE_OF_WORD = {
    **{queue: queue for queue in QUEUES},
    **dict.fromkeys(("done", "complete", "cancelled", "canceled"), "completed"),
    **dict.fromkeys(("running", "active", "doing"), "in-progress"),
    **dict.fromkeys(("error", "crashed"), "failed"),
    "in-review": "review",
}
_STATE_KEYS = {
    "pending": "pending",
    "in-progress": "inProgress",
    "review": "review",
    "completed": "completed",
    "failed": "failed",
}
_LIST_ORDER = ("pending", "blocked", "in-progress", "review", "completed", "failed", "dead-letter")
_PRIORITY_WORDS = {"critical", "high", "medium", "low"}
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


class _Source(NamedTuple):
    """A list of entries: a queue file, or the copy of a queue in the state file."""

    queue: str
    is_copy: bool


_Kind = Literal["created_at", "started_at", "completed_at"]
_Choice = dict[str, _Source]
_QUEUES = [_Source(queue, is_copy=False) for queue in _STATUS_OF_QUEUE]
_COPIES = [_Source(queue, is_copy=True) for queue in _STATE_KEYS]
_IN_ORDER = [_Source(queue, is_copy) for queue in _LIST_ORDER for is_copy in (False, True)]


class _Chosen(NamedTuple):
    """The fingerprint of the entry that is used for an id, and the task made from it."""

    queue: str
    fingerprint: int
    task: TaskDict


class _Input(NamedTuple):
    """The input of the tasks of a source. If it is equal, the tasks are the same.

    :ivar start: the position of the first one.
    """

    identities: list[str]
    fingerprints: dict[str, int]
    start: int


@dataclass(frozen=True, slots=True)
class TaskList:
    """All tasks of a folder. It is shared between threads: do not modify it.

    :ivar tasks: pending ones first. A task that has not changed is the same object as before.
    :ivar chosen: by task id.
    :ivar groups: by source, the input and its tasks; empty if they come from the index.
    """

    tasks: list[TaskDict]
    chosen: dict[str, _Chosen]
    groups: dict[_Source, tuple[_Input, dict[str, _Chosen]]]


def list_tasks(
    sources: Sources, *, status: str | None = None, limit: int | None = None, offset: int = 0
) -> list[TaskDict]:
    """Return the tasks of a folder, pending first.

    :param status: return only tasks of this status.
    :param limit: how many to return after skipping `offset`; None for all.
    """
    return select_tasks(get_task_list(sources).tasks, status=status, limit=limit, offset=offset)


def select_tasks(
    tasks: list[TaskDict], *, status: str | None, limit: int | None, offset: int
) -> list[TaskDict]:
    """Return those of a list of tasks that `list_tasks` returns."""
    if status is not None:
        tasks = [task for task in tasks if task["status"] == status]
    return tasks[offset : None if limit is None else offset + limit]


@refreshed
def get_task_list(sources: Sources, before: TaskList | None) -> TaskList:
    """Merge the queue files and the state file; keep the tasks of entries that are unchanged.

    The state file is a copy. Its entry is used only for an id that is in no queue, and only if the
    queue file was not written after the state file.
    """
    if before is None:
        snapshot, previous = _load_tasks(sources)
        before = TaskList([choice.task for choice in previous.values()], previous, {})
        if snapshot is not None and sources.project.matches(snapshot):
            return before
    read = _reader(sources)
    new_ids: list[str] = []
    positions: Counter[str] = Counter()
    merged, groups = dict[str, _Chosen](), {}
    for source, identities in _choose(sources).items():
        status = _STATUS_OF_QUEUE[source.queue]
        given = _Input(identities, _fingerprint_entries(sources, source), positions[status])
        positions[status] += len(identities)
        former, chosen = before.groups.get(source, (None, {}))
        if former != given:
            chosen = _choose_tasks(source, given, before.chosen, partial(read, source), new_ids)
        groups[source] = given, chosen
        merged |= chosen
    if len(new_ids) >= BULK:
        _store_tasks(sources, None, merged)
    return TaskList([choice.task for choice in merged.values()], merged, groups)


def _choose_tasks(
    source: _Source,
    given: _Input,
    previous: dict[str, _Chosen],
    read: Callable[[str], Json],
    new_ids: list[str],
) -> dict[str, _Chosen]:
    """Return the tasks of a source by id; keep those of unchanged entries.

    :param read: returns the entry of an id.
    :param new_ids: the ids of the tasks that are not kept are appended.
    """
    queue, chosen = source.queue, dict[str, _Chosen]()
    for position, identity in enumerate(given.identities, given.start):
        fingerprint = given.fingerprints[identity]
        choice = previous.get(identity)
        if choice is None or choice.fingerprint != fingerprint or choice.queue != queue:
            task = _build_task(identity, queue, read(identity), position)
            choice = _Chosen(queue, fingerprint, task)
            new_ids.append(identity)
        elif choice.task["position"] != position:
            choice = _Chosen(queue, fingerprint, {**choice.task, "position": position})
        chosen[identity] = choice
    return chosen


def store_tasks(sources: Sources) -> None:
    """Store the tasks for the next start, unless they are those that were stored."""
    with recording() as recorded:
        task_list = get_task_list(sources)
    snapshot = sources.project.take_snapshot(recorded.inputs)
    if snapshot is not None and len(task_list.tasks) >= BULK:
        _store_tasks(sources, snapshot, task_list.chosen)


@derived
def _choose(sources: Sources) -> dict[_Source, list[str]]:
    """Return the sources with the ids for which their entry is used, pending ones first."""
    groups: dict[_Source, list[str]] = {source: [] for source in _IN_ORDER}
    for identity, source in _choose_copies(sources, _choose_queued(sources)).items():
        groups[source].append(identity)
    return {source: identities for source, identities in groups.items() if identities}


def _choose_queued(sources: Sources) -> _Choice:
    """Return for each id in the queue files the source of the latest entry."""
    queued: _Choice = {}
    read = _reader(sources)
    for source in _list_queues(sources):
        for identity in _fingerprint_entries(sources, source):
            other = queued.get(identity)
            if other is not None:
                # Ids repeat in each session, so the times of the entries decide. If they have
                # none, the times of the files decide, then the order of the queues.
                is_later = _is_later(read(source, identity), read(other, identity))
                if is_later is None:
                    paths = _get_path(other.queue), _get_path(source.queue)
                    is_later = not sources.project.is_newer(*paths)
                if not is_later:
                    continue
            queued[identity] = source
    return queued


def _choose_copies(sources: Sources, queued: _Choice) -> _Choice:
    """Return the chosen sources, and those of the state file for ids in no queue."""
    chosen = dict(queued)
    for source in _list_copies(sources):
        missing = [each for each in _list_identities(sources, source) if each not in queued]
        path = _get_path(source.queue)
        if not missing or sources.project.is_newer(path, state.DASHBOARD_FILE):
            continue
        for identity in missing:
            other = chosen.get(identity)
            if other is None or _RANK[source.queue] > _RANK[other.queue]:
                chosen[identity] = source
    return chosen


def _reader(sources: Sources) -> Callable[[_Source, str], Json]:
    """Return a function that returns the entry of an id, and reads each source once."""
    entries: dict[_Source, dict[str, Json]] = {}

    def read(source: _Source, identity: str) -> Json:
        if source not in entries:
            entries[source] = _read_chosen_entries(sources, source)
        return entries[source][identity]

    return read


def _list_queues(sources: Sources) -> list[_Source]:
    """Return the queues that have a file; the other ones cost nothing."""
    names, single = set(sources.project.file_names("queue", ".json")), _read_single_files(sources)
    if not names and sources.project.is_folder("queue"):
        return _QUEUES  # a folder may be entered without the permission to list it
    return [
        source for source in _QUEUES if f"{source.queue}.json" in names or source.queue in single
    ]


@derived
def _list_copies(sources: Sources) -> list[_Source]:
    """Return the copies in the state file that are not empty."""
    groups = as_dict(state.read_dashboard_state(sources, "tasks"))
    return [source for source in _COPIES if groups.get(_STATE_KEYS[source.queue])]


def _is_later(one: Json, other: Json) -> bool | None:
    """Return whether an entry replaces another with the same id; None if their times do not tell.

    An entry that has not begun may be older than its place in the queue: it was put back.
    """
    began, other_began = _get_last_moment(one, *_ACTS), _get_last_moment(other, *_ACTS)
    moment = began or _get_last_moment(one, "created_at")
    than = other_began or _get_last_moment(other, "created_at")
    if moment is None or than is None:
        return None
    if began and other_began:
        return moment >= than
    may_be_put_back = (began and than <= moment) or (other_began and moment <= than)
    return None if may_be_put_back or moment == than else moment > than


def _get_last_moment(entry: Json, *kinds: _Kind) -> datetime | None:
    moments = (parse_time(entry.get(name)) for kind in kinds for name in _TIMES[kind])
    return max(filter(None, moments), default=None)


def _get_path(queue: str) -> str:
    return f"queue/{queue}.json"


def _store_tasks(sources: Sources, snapshot: Snapshot | None, chosen: dict[str, _Chosen]) -> None:
    store = sources.project.value_store
    if store is not None:
        rows = {each: (choice.fingerprint, choice.task) for each, choice in chosen.items()}
        store.store(_STORED, _FORMAT, orjson.dumps([snapshot and [*snapshot], rows]))


def _load_tasks(sources: Sources) -> tuple[Snapshot | None, dict[str, _Chosen]]:
    """Return the tasks that a process has stored, so that a restart redacts only new ones.

    :return: with a snapshot of the files that they were computed from, if one was stored.
    """
    store = sources.project.value_store
    data = store.load(_STORED, _FORMAT) if store else None
    stored, choices = orjson.loads(data) if data else (None, {})
    snapshot = Snapshot.from_json(stored) if stored else None
    share_words(task for _, task in choices.values())
    return snapshot, {
        identity: _Chosen(task["queue"], fingerprint, task)
        for identity, (fingerprint, task) in choices.items()
    }


def share_words(tasks: Iterable[Any]) -> None:
    """Keep one copy of each word that many stored tasks have, instead of one for each task."""
    intern = sys.intern
    for task in tasks:
        for name in _WORDS:
            if name in task:
                task[name] = intern(task[name])


@derived
def count_tasks(sources: Sources) -> dict[str, int]:
    """Return the number of tasks by `pending`, `in_progress`, `review`, `completed`, `failed`.

    Without any list of tasks the numbers in the state file count, which `loki demo` writes.
    """
    counts = dict.fromkeys((PENDING, IN_PROGRESS, REVIEW, "completed", "failed"), 0)
    if _has_no_list(sources):
        return {
            name: as_count(state.read_dashboard_state(sources, f"{name}_tasks")) for name in counts
        }
    for source, identities in _choose(sources).items():
        status = _STATUS_OF_QUEUE[source.queue]
        outcome = "failed" if source.queue in _FAILED_QUEUES else "completed"
        counts[outcome if status == DONE else status] += len(identities)
    return counts


@derived
def get_current_task(sources: Sources) -> str:
    """Return the title of the task in progress, `""` without one.

    An entry of type `iteration` stands for a whole iteration; it is used only if there is no other.
    What the session before left in the queue is not the current task of this one.
    """
    if _has_no_list(sources):
        return redact(first_text(state.read_dashboard_state(sources, "current_task")))
    if state.is_left(sources, state.IN_PROGRESS_FILE):
        return ""
    read = _reader(sources)
    active = [
        read(source, identity)
        for source, identities in _choose(sources).items()
        if _STATUS_OF_QUEUE[source.queue] == IN_PROGRESS
        for identity in identities
    ]
    others = (entry for entry in active if first_text(entry.get("type")) != "iteration")
    current = next(others, active[0] if active else None)
    return "" if current is None else redact(_get_title(current))


def _has_no_list(sources: Sources) -> bool:
    """Return whether there is neither a task nor a list of tasks in the state file."""
    return not _is_list_in_state(sources) and not _choose(sources)


@derived
def _is_list_in_state(sources: Sources) -> bool:
    return state.read_dashboard_state(sources, "tasks") is not None


def get_task_entries(value: Any) -> list[Json]:
    """Return the entries of a queue file: an array, a map by id or one, also under `tasks`."""
    return entries_in(value, "tasks", ("id", "title", "type"))


def build_plain_task(identity: str, entry: Json, positions: Counter[str]) -> TaskDict:
    """Return the documented fields of a task that is stored outside the queues, by its status.

    :param positions: how many tasks of each status there are; this one is added.
    """
    queue = _find_queue(entry) or PENDING
    status = _STATUS_OF_QUEUE[queue]
    task = _build_fields(identity, entry, status, positions[status])
    positions[status] += 1
    task["failed"] = queue in _FAILED_QUEUES
    return task


@derived
def _list_identities(sources: Sources, source: _Source) -> list[str]:
    return list(_read_chosen_entries(sources, source))


@derived
def _fingerprint_entries(sources: Sources, source: _Source) -> dict[str, int]:
    """Return the ids of the entries with hashes of their contents, which are not kept."""
    entries = _read_chosen_entries(sources, source)
    return {identity: _fingerprint(entry) for identity, entry in entries.items()}


def _fingerprint(entry: Json) -> int:
    return int.from_bytes(blake2b(orjson.dumps(entry), digest_size=7).digest())


def _read_chosen_entries(sources: Sources, source: _Source) -> dict[str, Json]:
    """Return the entries of a source by id.

    If a queue has several entries with one id, the latest counts; in a copy, the first one.
    """
    entries: dict[str, Json] = {}
    for identity, entry in _read_entries(sources, source):
        other = entries.get(identity)
        if other is None or not (source.is_copy or _is_later(entry, other) is False):
            entries[identity] = entry
    return entries


def _read_entries(sources: Sources, source: _Source) -> Iterator[tuple[str, Json]]:
    """Yield the entries of a source with their ids; an id may be repeated."""
    queue, is_copy = source
    if is_copy:
        groups = as_dict(state.read_dashboard_state(sources, "tasks"))
        return _identify(queue, get_task_entries(groups.get(_STATE_KEYS[queue])))
    entries = get_task_entries(sources.project.document(_get_path(queue)))
    return _identify(queue, [*entries, *_read_single_files(sources).get(queue, ())])


@derived
def _read_single_files(sources: Sources) -> dict[str, list[Json]]:
    """Return by queue the entries that `loki demo` writes, one a file: `queue/task-<n>.json`."""
    queued: dict[str, list[Json]] = {}
    names = sources.project.file_names("queue", ".json")
    for name in sorted(filter(_SINGLE_FILE.fullmatch, names), key=lambda name: (len(name), name)):
        entry = as_dict(sources.project.document(f"queue/{name}"))
        queue = _find_queue(entry)
        if queue:
            queued.setdefault(queue, []).append(entry)
    return queued


def _find_queue(entry: Json) -> str | None:
    """Return the queue that the status of an entry stands for; None for other words."""
    words = re.split(r"[\s_-]+", first_text(entry.get("status")).strip().lower())
    return _QUEUE_OF_WORD.get("-".join(words))


def _identify(queue: str, entries: list[Json]) -> Iterator[tuple[str, Json]]:
    identities = Identities(queue)
    for entry in entries:
        value = entry.get("id")
        if isinstance(value, str) and value.strip():
            yield value, entry
        else:
            yield identities.assign(value, _get_title(entry), _get_description(entry)), entry


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
        "type": redact_name(first_text(entry.get("type"), default="task")),
        "position": position,
    }
    for key in ("source", "provider", "github_url"):
        if isinstance(entry.get(key), str):
            task[key] = redact(entry[key])
    for key, names in _TIMES.items():
        moment = next(filter(None, (tidy_time(entry.get(name)) for name in names)), "")
        if moment:
            task[key] = moment
    if isinstance(entry.get("claimedBy"), str):
        task["assigned_agent_id"] = redact_name(entry["claimedBy"])
    return task


_TIMES: dict[_Kind, tuple[str, ...]] = {
    "created_at": ("created_at", "createdAt"),
    "started_at": ("startedAt", "claimedAt"),
    "completed_at": ("completedAt",),
}
_ACTS: tuple[_Kind, ...] = ("started_at", "completed_at")


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
