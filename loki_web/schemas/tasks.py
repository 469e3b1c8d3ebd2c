"""Schemas of tasks."""

from marshmallow import fields, validate

from loki_web.schemas.base import Answer, Query, limit, offset, optional, text


class TasksQuery(Query):
    status = text(description="Only this status: pending, in_progress, review or done")
    limit = limit(None, 100_000)
    offset = offset()


class Task(Answer):
    EXAMPLE = {
        "id": "task-001",
        "title": "implement-auth",
        "description": "Implement user authentication",
        "status": "in_progress",
        "priority": "medium",
        "type": "task",
        "position": 0,
    }

    id = fields.String()
    title = fields.String()
    description = fields.String()
    status = fields.String(validate=validate.OneOf(["pending", "in_progress", "review", "done"]))
    priority = fields.String()
    type = fields.String()
    position = fields.Integer()
    queue = optional(fields.String())
    failed = optional(fields.Boolean())
    source = optional(fields.String())
    provider = optional(fields.String())
    github_url = optional(fields.String())
    created_at = optional(fields.String())
    started_at = optional(fields.String())
    completed_at = optional(fields.String())
    assigned_agent_id = optional(fields.String())
