"""All projects of this user, and which one is shown."""

from loki_web.schemas import fleet as shapes
from loki_web.schemas.base import OptionalBody
from loki_web.services.fleet import overview, selection
from loki_web.services.fleet.overview import FleetDict, RunningProjectsDict
from loki_web.services.fleet.selection import FocusDict
from loki_web.services.machines import roster
from loki_web.store.coerce import Json
from loki_web.web.blueprint import Blueprint
from loki_web.web.context import server_sources, writable_server_sources

blueprint = Blueprint("fleet", __name__, is_of_project=False)

_FOCUS = "/api/focus"


@blueprint.get_anew("/api/fleet")
@blueprint.answers(200, shapes.Fleet)
def get_fleet() -> FleetDict:
    """List all registered and discovered projects with what their sessions are doing."""
    return roster.get_fleet(server_sources())


@blueprint.get_anew("/api/running-projects")
@blueprint.answers(200, shapes.RunningProjects)
def get_running_projects() -> RunningProjectsDict:
    """List the registered projects, running ones first."""
    return overview.list_running(server_sources())


@blueprint.get_anew(_FOCUS)
@blueprint.answers(200, shapes.Focus)
def get_focus() -> FocusDict:
    """Get the project that is shown where a request names none."""
    return selection.get_focus(server_sources())


@blueprint.post(_FOCUS)
@blueprint.body(shapes.NewFocus)
@blueprint.answers(200, shapes.Focus)
def post_focus(body: Json) -> FocusDict:
    """Show another project where a request names none; a session does so at its start."""
    return selection.set_focus(writable_server_sources(), body["project_dir"])


@blueprint.delete(_FOCUS)
@blueprint.body(OptionalBody)
@blueprint.answers(200, shapes.Focus)
def delete_focus(_: Json) -> FocusDict:
    """Show the project of this server again."""
    return selection.clear_focus(writable_server_sources())
