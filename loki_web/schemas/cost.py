"""Schemas of cost and prices."""

from marshmallow import fields

from loki_web.schemas.base import Answer, optional


class Usage(Answer):
    """Usage of one phase or one model."""

    input_tokens = fields.Integer()
    output_tokens = fields.Integer()
    cost_usd = fields.Float()


class IterationCost(Answer):
    iteration = fields.Integer()
    cost_usd = fields.Float()
    cumulative = fields.Float()
    input_tokens = fields.Integer()
    output_tokens = fields.Integer()
    model = fields.String()
    phase = fields.String()
    timestamp = fields.String()
    session = optional(
        fields.Integer(metadata={"description": "From 1, of those whose numbers are kept"})
    )


class Cost(Answer):
    EXAMPLE = {
        "total_input_tokens": 50000,
        "total_output_tokens": 25000,
        "estimated_cost_usd": 1.25,
        "by_phase": {},
        "by_model": {},
        "budget_limit": None,
        "budget_used": None,
        "budget_remaining": None,
    }

    total_input_tokens = fields.Integer()
    total_output_tokens = fields.Integer()
    estimated_cost_usd = fields.Float()
    by_phase = fields.Dict(fields.String(), fields.Nested(Usage))
    by_model = fields.Dict(fields.String(), fields.Nested(Usage))
    budget_limit = fields.Float(allow_none=True)
    budget_used = fields.Float(allow_none=True)
    budget_remaining = fields.Float(allow_none=True)
    by_iteration = optional(fields.List(fields.Nested(IterationCost)))
    source = optional(fields.String())
    unknown_models = optional(fields.List(fields.String()))
    unknown_models_priced_as = optional(fields.String())


class ModelPrice(Answer):
    """USD per million tokens."""

    input = fields.Float()
    output = fields.Float()
    label = fields.String()
    provider = fields.String()


class Pricing(Answer):
    EXAMPLE = {
        "provider": "claude",
        "updated": "2026-02-07",
        "source": "static",
        "models": {
            "sonnet": {"input": 3.0, "output": 15.0, "label": "Sonnet 4.5", "provider": "claude"}
        },
    }

    provider = fields.String()
    updated = fields.String()
    source = fields.String()
    models = fields.Dict(fields.String(), fields.Nested(ModelPrice))
