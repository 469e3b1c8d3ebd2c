"""Schemas of the records that newer sessions keep of their work."""

from marshmallow import fields

from loki_web.schemas.base import Answer, Query, limit


class RecordsQuery(Query):
    limit = limit(100)


class Voter(Answer):
    name = fields.String()
    verdict = fields.String()
    reasoning = fields.String()
    issues = fields.List(fields.String())
    is_contrarian = fields.Boolean()


class Transcript(Answer):
    id = fields.String()
    iteration = fields.Integer()
    timestamp = fields.String()
    outcome = fields.String(metadata={"description": "APPROVED, REJECTED or another word"})
    approve_count = fields.Integer()
    reject_count = fields.Integer()
    threshold = fields.Integer()
    voters = fields.List(fields.Nested(Voter))


class Reviewer(Answer):
    name = fields.String()
    verdict = fields.String()


class Review(Answer):
    id = fields.String()
    iteration = fields.Integer()
    passed = fields.Integer()
    failed = fields.Integer()
    has_blocking = fields.Boolean()
    inconclusive = fields.Boolean()
    quality_score = fields.Float(allow_none=True)
    reviewers = fields.List(fields.Nested(Reviewer))


class ResultCost(Answer):
    iteration = fields.Integer()
    cost_usd = fields.Float(allow_none=True)
    input_tokens = fields.Integer()
    output_tokens = fields.Integer()
    cache_read_tokens = fields.Integer()
    cache_creation_tokens = fields.Integer()


class Decision(Answer):
    timestamp = fields.String()
    stage = fields.String()
    outcome = fields.String()
    provider = fields.String()
    model = fields.String()
    duration_ms = fields.Float(allow_none=True)
    input_tokens = fields.Integer()
    output_tokens = fields.Integer()


class Escalation(Answer):
    name = fields.String()
    timestamp = fields.String(metadata={"description": "When the file was written"})
    text = fields.String(metadata={"description": "Markdown"})


class Assumption(Answer):
    id = fields.String()
    timestamp = fields.String()
    gap = fields.String()
    assumption = fields.String()
    why = fields.String()
    severity = fields.String()
    kind = fields.String()
    confirmed = fields.Boolean()
    acknowledged = fields.Boolean()


class Records(Answer):
    transcripts = fields.List(fields.Nested(Transcript))
    reviews = fields.List(fields.Nested(Review))
    result_costs = fields.List(
        fields.Nested(ResultCost),
        metadata={"description": "As the provider reported them; `/api/cost` has the totals"},
    )
    decisions = fields.List(fields.Nested(Decision))
    escalations = fields.List(fields.Nested(Escalation))
    assumptions = fields.List(fields.Nested(Assumption))
