"""Schemas of the budget."""

from marshmallow import fields

from loki_web.schemas.base import Answer, optional


class Budget(Answer):
    EXAMPLE = {
        "budget_limit": 5.00,
        "budget_used": 1.25,
        "budget_remaining": 3.75,
        "budget_exceeded": False,
    }

    budget_limit = fields.Float(allow_none=True)
    budget_used = fields.Float()
    budget_remaining = fields.Float(allow_none=True)
    budget_exceeded = fields.Boolean()
    exceeded_at = optional(fields.String(allow_none=True))
    current_cost = optional(fields.Float())
    exceeded = optional(fields.Boolean())
    remaining = optional(fields.Float(allow_none=True))
