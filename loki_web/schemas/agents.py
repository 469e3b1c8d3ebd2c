"""Schemas of agents and their control."""

from marshmallow import fields

from loki_web.schemas.base import Answer, Success, optional


class Agent(Answer):
    EXAMPLE = {
        "id": "agent-001",
        "type": "development",
        "status": "running",
        "task": "implement-auth",
        "pid": 12345,
        "alive": True,
    }

    id = fields.String()
    type = fields.String()
    status = fields.String()
    task = fields.String()
    pid = fields.Integer(allow_none=True)
    alive = fields.Boolean()
    liveness = optional(fields.String(metadata={"description": "What tells whether it is alive"}))
    raw_status = optional(fields.String(metadata={"description": "Status as in the file"}))
    name = optional(fields.String())
    model = optional(fields.String())
    tool_id = optional(fields.String())
    tool_count = optional(fields.Integer())
    pause_requested = optional(fields.Boolean())
    started_at = optional(fields.String(allow_none=True))
    heartbeat = optional(fields.String(allow_none=True))
    completed_at = optional(fields.String(allow_none=True))


class AgentKilled(Success):
    EXAMPLE = {"success": True, "message": "Agent agent-001 terminated"}

    success = fields.Boolean(metadata={"description": "False when no process was signalled"})
    recorded = optional(
        fields.Boolean(metadata={"description": "False when the list could not be written"})
    )
    liveness = optional(
        fields.String(metadata={"description": "If not signalled: what tells whether it is alive"})
    )


class AgentPaused(Success):
    EXAMPLE = {"success": True, "message": "Pause signal sent to agent agent-001"}


class AgentResumed(Success):
    EXAMPLE = {"success": True, "message": "Resume signal sent to agent agent-001"}
