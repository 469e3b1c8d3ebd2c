"""Context window usage of the agents, in tokens."""

from loki_web.schemas.context_window import ContextWindow
from loki_web.services.cost import context_window
from loki_web.services.cost.context_window import ContextWindowDict
from loki_web.web.blueprint import Blueprint
from loki_web.web.context import sources

blueprint = Blueprint("context", __name__)


@blueprint.get("/api/context")
@blueprint.answers(200, ContextWindow)
def get_context() -> ContextWindowDict:
    """Get current context window state including per-agent usage, totals and breakdown."""
    return context_window.get_context_window(sources())
