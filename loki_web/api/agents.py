"""Agents of the session: list them, pause, resume or kill one."""

from loki_web.schemas import agents as shapes
from loki_web.schemas.base import OptionalBody
from loki_web.services.agents import control, records
from loki_web.services.agents.control import KilledDict
from loki_web.services.agents.records import AgentDict
from loki_web.services.types import SuccessDict
from loki_web.store.coerce import Json
from loki_web.web.blueprint import Blueprint
from loki_web.web.context import sources, writable_sources

blueprint = Blueprint("agents", __name__)
_AGENT_ID = blueprint.identified_by("agent_id", "Id of the agent, as in the list or as in its file")


@blueprint.get("/api/agents")
@blueprint.answers(200, shapes.Agent, many=True)
def get_agents() -> list[AgentDict]:
    """Get all active and recent agents with their status and metadata."""
    return records.describe_agents(sources())


@blueprint.post("/api/agents/<agent_id>/kill", parameters=_AGENT_ID)
@blueprint.body(OptionalBody)
@blueprint.answers(200, shapes.AgentKilled)
@blueprint.errors({404: "Agent not found, or it has no process of its own"})
def kill(_: Json, agent_id: str) -> KilledDict:
    """Kill a specific agent by ID. Sends SIGTERM to the agent process."""
    return control.kill_agent(writable_sources(), agent_id)


@blueprint.post("/api/agents/<agent_id>/pause", parameters=_AGENT_ID)
@blueprint.body(OptionalBody)
@blueprint.answers(200, shapes.AgentPaused)
@blueprint.errors({404: "Agent not found"})
def pause(_: Json, agent_id: str) -> SuccessDict:
    """Pause a specific agent by writing a pause signal file."""
    return control.pause_agent(writable_sources(), agent_id)


@blueprint.post("/api/agents/<agent_id>/resume", parameters=_AGENT_ID)
@blueprint.body(OptionalBody)
@blueprint.answers(200, shapes.AgentResumed)
@blueprint.errors({404: "Agent not found, and it has no pause signal"})
def resume(_: Json, agent_id: str) -> SuccessDict:
    """Resume a paused agent by removing the pause signal file."""
    return control.resume_agent(writable_sources(), agent_id)
