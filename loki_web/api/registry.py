"""Registered projects of this user, and tasks and learnings across all of them."""

from loki_web.schemas import registry as shapes
from loki_web.schemas.base import OptionalBody
from loki_web.services.registry import discovery, learnings, registry, tasks
from loki_web.services.registry.discovery import DiscoveredDict
from loki_web.services.registry.learnings import LearningsDict
from loki_web.services.registry.project import HealthDict, ProjectDict
from loki_web.services.registry.registry import SyncedDict
from loki_web.services.registry.tasks import ProjectTaskDict
from loki_web.store.coerce import Json
from loki_web.web.blueprint import Blueprint
from loki_web.web.context import server_sources, writable_server_sources

blueprint = Blueprint("registry", __name__, is_of_project=False)

_PROJECTS = "/api/registry/projects"
_PROJECT = "/api/registry/projects/<anything:identifier>"
_UNKNOWN = "No project has this id, path or alias"


@blueprint.get(_PROJECTS)
@blueprint.query(shapes.ProjectsQuery)
@blueprint.answers(200, shapes.Project, many=True)
def get_projects(query: Json) -> list[ProjectDict]:
    """List all registered projects."""
    return registry.list_projects(server_sources(), include_inactive=query["include_inactive"])


@blueprint.post(_PROJECTS)
@blueprint.body(shapes.NewProject)
@blueprint.answers(201, shapes.Project)
def post_project(body: Json) -> ProjectDict:
    """Register a new project."""
    return registry.register_project(
        writable_server_sources(), body["path"], body["name"], body["alias"]
    )


@blueprint.get(_PROJECT)
@blueprint.answers(200, shapes.Project)
@blueprint.errors({404: _UNKNOWN})
def get_project(identifier: str) -> ProjectDict:
    """Get a registered project by ID, path, or alias."""
    return registry.get_project(server_sources(), identifier)


@blueprint.delete(_PROJECT)
@blueprint.answers(204)
@blueprint.errors({404: _UNKNOWN})
def delete_project(identifier: str) -> None:
    """Remove a project from the registry."""
    registry.remove_project(writable_server_sources(), identifier)


@blueprint.get(f"{_PROJECT}/health")
@blueprint.answers(200, shapes.ProjectHealth)
@blueprint.errors({404: _UNKNOWN})
def get_health(identifier: str) -> HealthDict | ProjectDict:
    """Check the health of a registered project.

    If the path of a project itself ends in `/health`, its entry is returned instead.
    """
    return registry.get_health(server_sources(), identifier)


@blueprint.post(f"{_PROJECT}/access")
@blueprint.body(OptionalBody)
@blueprint.answers(200, shapes.Project)
@blueprint.errors({404: _UNKNOWN})
def post_access(_: Json, identifier: str) -> ProjectDict:
    """Update the last accessed timestamp for a project."""
    return registry.record_access(writable_server_sources(), identifier)


@blueprint.get("/api/registry/discover")
@blueprint.query(shapes.DiscoverQuery)
@blueprint.answers(200, shapes.Discovered, many=True)
def get_discovered(query: Json) -> list[DiscoveredDict]:
    """Discover projects with `.loki` directories."""
    return discovery.discover_projects(server_sources(), query["max_depth"])


@blueprint.post("/api/registry/sync")
@blueprint.body(OptionalBody)
@blueprint.answers(200, shapes.Synced)
def post_sync(_: Json) -> SyncedDict:
    """Sync the registry with discovered projects."""
    return registry.sync_projects(writable_server_sources())


@blueprint.get("/api/registry/tasks")
@blueprint.query(shapes.ProjectTasksQuery)
@blueprint.answers(200, shapes.ProjectTask, many=True)
def get_project_tasks(query: Json) -> list[ProjectTaskDict]:
    """Get tasks from multiple projects for unified view."""
    return tasks.list_tasks(server_sources(), query["project_ids"])


@blueprint.get("/api/registry/learnings")
@blueprint.query(shapes.LearningsQuery)
@blueprint.answers(200, shapes.Learnings)
def get_learnings(query: Json) -> LearningsDict:
    """Get learnings from the global learnings database."""
    return learnings.list_learnings(server_sources(), query["limit"])
