"""The tasks of all registered projects in one list (docs/files.md, section 15.1)."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from loki_web.services import tasks
from loki_web.services.context import Sources
from loki_web.services.ids import Identities
from loki_web.services.redaction import redact
from loki_web.services.registry import registry
from loki_web.services.registry.project import Project
from loki_web.services.tasks import TaskDict
from loki_web.store.coerce import dicts_in
from loki_web.store.look import Inputs, recording
from loki_web.store.snapshot import Snapshot
from loki_web.store.value_store import ValueStore

# Task files outside the queues: the old server's and that of the MCP tools.
_STORES = ("state/tasks.json", "state/task-queue.json")
_STORED, _FORMAT = "tasks of other projects", "1"  # in the derived index
_BULK = 16  # fewer projects are read in less time than those of all are stored
_MAX_STORED_BYTES = 8 * 1024 * 1024


class ProjectTaskDict(TaskDict):
    """A task and the project that it belongs to."""

    _project_id: str
    _project_name: str
    _project_path: str


def list_tasks(sources: Sources, identifiers: list[str] | None) -> list[ProjectTaskDict]:
    """Return the tasks of every project whose directory exists, project by project.

    Each task has the keys `_project_id`, `_project_name` and `_project_path`.

    :param identifiers: ids, aliases or paths of projects; unknown ones are ignored. None for all.
    """
    merged: list[ProjectTaskDict] = []
    projects = _select_projects(sources, identifiers)
    read: list[Sources] = []
    stored = _get_stored_tasks(sources.unlimited, len(projects))
    for project in projects:
        if project.root is None:
            continue
        name = redact(project.name)
        own_sources = sources.at_project(project.root)
        read.append(own_sources)
        merged += [
            {
                **task,
                "_project_id": project.id,
                "_project_name": name,
                "_project_path": project.path,
            }
            for task in stored.get(own_sources).tasks
        ]
    if identifiers is None and sources.limit is None:  # what is stored replaces all of before
        stored.store_if_due(read)
    return merged


def _select_projects(sources: Sources, identifiers: list[str] | None) -> list[Project]:
    """Return one project for each directory, even if it is registered or named repeatedly."""
    projects = registry.load_projects(sources)
    selected = projects
    if identifiers is not None:
        selected = [
            project
            for identifier in identifiers
            for project in registry.find_projects(projects, identifier)
        ]
    by_root = {project.root: project for project in reversed(selected) if project.has_loki_dir}
    return list(reversed(by_root.values()))


@dataclass(frozen=True, slots=True)
class _Tasks:
    """The tasks of a project.

    :ivar inputs: that they were computed from; empty if they come from the derived index.
    :ivar snapshot: of the files that they were computed from, in the latter case.
    """

    tasks: list[TaskDict]
    inputs: Inputs = ()
    snapshot: Snapshot | None = None


class _StoredTasks:
    """The tasks of projects. After a restart only those that have changed are computed.

    Those of the server's own project are not stored here, but by `services.tasks`.

    :param store: where they are kept between runs; None to compute them in each run.
    """

    def __init__(self, store: ValueStore | None) -> None:
        self._store = store
        self._is_loaded = False
        self._entries: dict[str, list[Any]] = {}
        self._unstored: set[Path] = set()

    def load(self) -> None:
        """Load what another run has stored, once."""
        if self._store is None or self._is_loaded:
            return
        self._is_loaded = True
        data = self._store.load(_STORED, _FORMAT)
        self._entries = orjson.loads(data) if data else {}

    def get(self, sources: Sources) -> _Tasks:
        """Return the tasks of one project."""
        value: _Tasks = sources.values.get(
            _Tasks, lambda _: self._restore(sources) or self._compute(sources)
        )
        return value

    def _restore(self, sources: Sources) -> _Tasks | None:
        """Return the stored tasks of a project; None if one of its files has changed since."""
        entry = self._entries.pop(str(sources.project.path), None)
        if entry is None:
            return None
        snapshot, stored = Snapshot.from_json(entry[0]), entry[1]
        if not sources.project.matches(snapshot):
            return None
        tasks.share_words(stored)
        return _Tasks(stored, snapshot=snapshot)

    def _compute(self, sources: Sources) -> _Tasks:
        with recording() as recorded:
            computed = [*_read_tasks(sources)]
        if sources.project.value_store is None:
            self._unstored.add(sources.project.path)
        return _Tasks(computed, recorded.inputs)

    def store_if_due(self, projects: list[Sources]) -> None:
        """Store the tasks of all projects, if those of many were computed.

        :param projects: all of them, each of which was read.
        """
        self._entries.clear()  # what is left is of others, or was not needed
        if self._store is None or len(self._unstored) < max(_BULK, len(projects) // 4):
            return
        self._unstored.clear()
        entries, size = {}, 0
        for sources in projects:
            if sources.project.value_store is not None:
                continue
            value = self.get(sources)
            snapshot = value.snapshot or sources.project.take_snapshot(value.inputs)
            data = orjson.dumps([[*snapshot], value.tasks]) if snapshot else b""
            size += len(data)
            if data and size <= _MAX_STORED_BYTES:
                entries[str(sources.project.path)] = orjson.Fragment(data)
        self._store.store(_STORED, _FORMAT, orjson.dumps(entries))


def _get_stored_tasks(sources: Sources, count: int) -> _StoredTasks:
    """Return the stored tasks of projects; those of few projects are not stored.

    :param count: the number of projects that are asked for.
    """
    stored: _StoredTasks = sources.values.get(
        _StoredTasks, lambda _: _StoredTasks(sources.project.value_store)
    )
    if count >= _BULK:
        stored.load()
    return stored


def _read_tasks(sources: Sources) -> Iterator[TaskDict]:
    ids: set[str] = set()
    positions: Counter[str] = Counter()
    for task in tasks.list_tasks(sources):
        ids.add(task["id"])
        positions[task["status"]] += 1
        yield task
    for store in _STORES:
        identities = Identities("task")
        for entry in dicts_in(tasks.get_task_entries(sources.project.document(store))):
            identity = identities.assign(entry.get("id"), store, str(entry.get("title")))
            if identity in ids:
                continue
            ids.add(identity)
            yield tasks.build_plain_task(identity, entry, positions)
