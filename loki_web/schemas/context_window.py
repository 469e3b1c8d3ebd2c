"""Schemas of the context window."""

from marshmallow import fields

from loki_web.schemas.base import Answer, optional


class AgentWindow(Answer):
    id = fields.String()
    tokens_used = fields.Integer()
    capacity = fields.Integer()
    usage_percent = fields.Float()


class Breakdown(Answer):
    """Tokens by the kind of content."""

    code = fields.Integer()
    prompts = fields.Integer()
    memory = fields.Integer()
    tool_output = fields.Integer()


class ContextWindow(Answer):
    EXAMPLE = {
        "total_capacity": 200000,
        "total_used": 87500,
        "usage_percent": 43.75,
        "agents": [
            {
                "id": "orchestrator",
                "tokens_used": 42000,
                "capacity": 200000,
                "usage_percent": 21.0,
            }
        ],
        "breakdown": {"code": 35000, "prompts": 20000, "memory": 15000, "tool_output": 17500},
    }

    total_capacity = fields.Integer()
    total_used = fields.Integer()
    usage_percent = fields.Float()
    agents = fields.List(fields.Nested(AgentWindow))
    breakdown = fields.Nested(Breakdown)
    session_id = optional(fields.String())
    provider = optional(fields.String())
    updated_at = optional(fields.String(allow_none=True))
    current = optional(fields.Dict())
    compactions = optional(fields.List(fields.Dict()))
    per_iteration = optional(fields.List(fields.Dict()))
    totals = optional(fields.Dict())
