"""Schemas of health and status."""

from marshmallow import fields, validate

from loki_web.schemas.base import Answer, optional


class Health(Answer):
    EXAMPLE = {"status": "healthy", "service": "loki-dashboard"}

    status = fields.String()
    service = fields.String()


class Live(Answer):
    EXAMPLE = {"status": "live"}

    status = fields.String()


class Ready(Answer):
    EXAMPLE = {"status": "ready", "reasons": [], "warnings": []}

    status = fields.String(
        metadata={"description": "ready, degraded (Redis does not answer), or not ready"}
    )
    reasons = fields.List(fields.String())
    warnings = fields.List(fields.String(metadata={"description": "What only limits the server"}))
    detail = optional(fields.String(metadata={"description": "The reasons as one text"}))


class LiveSession(Answer):
    EXAMPLE = {"session_id": "global", "pid": 4711}

    session_id = fields.String()
    pid = fields.Integer(allow_none=True)


class Status(Answer):
    EXAMPLE = {
        "status": "running",
        "version": "5.49.0",
        "uptime_seconds": 1234.5,
        "active_sessions": 1,
        "running_agents": 3,
        "pending_tasks": 5,
        "database_connected": True,
        "phase": "development",
        "iteration": 12,
        "complexity": "standard",
        "mode": "autonomous",
        "provider": "claude",
        "current_task": "implement-auth",
    }

    status = fields.String(validate=validate.OneOf(["stopped", "running", "paused", "autonomous"]))
    version = fields.String()
    uptime_seconds = fields.Float()
    active_sessions = fields.Integer()
    running_agents = fields.Integer()
    pending_tasks = fields.Integer()
    database_connected = fields.Boolean()
    phase = fields.String()
    iteration = fields.Integer()
    complexity = fields.String()
    mode = fields.String()
    provider = fields.String()
    current_task = fields.String()
    too_large_files = optional(
        fields.List(
            fields.String(),
            metadata={"description": "Files that count as empty because they are too large"},
        )
    )
    project = optional(
        fields.String(metadata={"description": "The name of the project, else of its folder"})
    )
    project_path = optional(fields.String(metadata={"description": "The folder of the project"}))
    is_server_project = optional(
        fields.Boolean(metadata={"description": "Whether it is the project of this server"})
    )
    session_uptime_seconds = optional(fields.Float())
    pid = optional(
        fields.Integer(allow_none=True, metadata={"description": "The runner of the session"})
    )
    timestamp = optional(fields.String())
    liveness = optional(
        fields.String(
            validate=validate.OneOf(["process", "heartbeat", "unknown"]),
            metadata={"description": "What tells whether the session runs"},
        )
    )
    stale = optional(
        fields.Boolean(metadata={"description": "Recorded as running, but silent for long"})
    )
    sessions = optional(fields.List(fields.Nested(LiveSession)))
