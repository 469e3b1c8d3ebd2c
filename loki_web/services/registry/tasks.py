"""The tasks of all registered projects in one list (docs/files.md, section 15.1)."""

from collections import Counter
from collections.abc import Iterator

from loki_web.services import tasks
from loki_web.services.context import Sources
from loki_web.services.ids import Identities
from loki_web.services.redaction import redact
from loki_web.services.registry import registry
from loki_web.services.registry.project import Project
from loki_web.services.tasks import TaskDict
from loki_web.store.coerce import dicts_in

# Task files outside the queues: the old server's and that of the MCP tools.
_STORES = ("state/tasks.json", "state/task-queue.json")


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
    for project in _select_projects(sources, identifiers):
        if project.root is None:
            continue
        name = redact(project.name)
        merged += [
            {
                **task,
                "_project_id": project.id,
                "_project_name": name,
                "_project_path": project.path,
            }
            for task in _read_tasks(sources.at_project(project.root))
        ]
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
