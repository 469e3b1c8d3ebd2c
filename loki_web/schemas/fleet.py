"""Schemas of the fleet: all projects of the user, and the one in focus."""

from marshmallow import fields, validate

from loki_web.schemas.base import Answer, Body, optional


class FleetProject(Answer):
    id = fields.String(allow_none=True, metadata={"description": "null if it is not registered"})
    name = fields.String()
    alias = fields.String(allow_none=True)
    path = fields.String()
    registered = fields.Boolean()
    is_server_project = fields.Boolean()
    is_shown = fields.Boolean(
        metadata={"description": "Whether it is shown where a request names no project"}
    )
    machine = optional(
        fields.String(metadata={"description": "Where its files are, if several machines are one"})
    )
    status = fields.String(
        validate=validate.OneOf(["stopped", "running", "paused", "autonomous", "missing"])
    )
    phase = fields.String()
    iteration = fields.Integer()
    cost_usd = fields.Float()
    budget_limit = fields.Float(allow_none=True)
    budget_remaining = fields.Float(allow_none=True)
    budget_exceeded = fields.Boolean()
    open_alerts = fields.Integer(metadata={"description": "Unacknowledged notifications"})
    running_agents = fields.Integer()
    last_change = fields.String(allow_none=True)
    liveness = optional(fields.String(metadata={"description": "What tells whether it is alive"}))


class Fleet(Answer):
    projects = fields.List(
        fields.Nested(FleetProject),
        metadata={"description": "Running ones first, then those that changed last"},
    )
    total = fields.Integer()
    running = fields.Integer()
    total_cost_usd = fields.Float()


class RunningProject(Answer):
    id = fields.String()
    name = fields.String()
    path = fields.String()
    port = fields.Integer(allow_none=True)
    status = fields.String()
    running = fields.Boolean()
    is_active = fields.Boolean(metadata={"description": "Whether it is in focus"})


class RunningProjects(Answer):
    projects = fields.List(fields.Nested(RunningProject), metadata={"description": "At most 50"})
    active_project_dir = fields.String(allow_none=True)


class NewFocus(Body):
    EXAMPLE = {"project_dir": "/home/dev/projects/demo"}

    project_dir = fields.String(required=True, validate=validate.Length(min=1, max=4096))


class Focus(Answer):
    EXAMPLE = {"project_dir": None, "loki_dir": "/home/dev/projects/demo/.loki"}

    project_dir = fields.String(allow_none=True)
    loki_dir = fields.String()
