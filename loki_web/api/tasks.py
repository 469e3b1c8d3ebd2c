"""Tasks of the session."""

from loki_web.schemas.tasks import Task, TasksQuery
from loki_web.services import tasks
from loki_web.services.tasks import TaskDict
from loki_web.store.coerce import Json
from loki_web.web.blueprint import Blueprint
from loki_web.web.context import sources

blueprint = Blueprint("tasks", __name__)


@blueprint.get("/api/tasks")
@blueprint.query(TasksQuery)
@blueprint.answers(200, Task, many=True)
def get_tasks(query: Json) -> list[TaskDict]:
    """List tasks from session state files."""
    return tasks.list_tasks(
        sources(), status=query["status"], limit=query["limit"], offset=query["offset"]
    )
