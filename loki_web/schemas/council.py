"""Schemas of the completion council."""

from marshmallow import fields, validate

from loki_web.schemas.base import Answer, Query, Success, limit, optional


class VerdictsQuery(Query):
    limit = limit(20)


class Vote(Answer):
    member = fields.String()
    role = fields.String()
    vote = fields.String(metadata={"description": "COMPLETE, CONTINUE or empty"})
    reason = fields.String()


class Verdict(Answer):
    EXAMPLE = {
        "iteration": 10,
        "result": "continue",
        "votes_complete": 1,
        "votes_continue": 2,
        "timestamp": "2026-02-02T12:00:00Z",
    }

    iteration = fields.Integer()
    result = fields.String(validate=validate.OneOf(["complete", "continue"]))
    votes_complete = fields.Integer()
    votes_continue = fields.Integer()
    timestamp = fields.String()
    approve = optional(fields.Integer(metadata={"description": "Same as votes_complete"}))
    reject = optional(fields.Integer(metadata={"description": "Same as votes_continue"}))
    raw_result = optional(fields.String(metadata={"description": "The result as in the file"}))
    kind = optional(
        fields.String(
            validate=validate.OneOf(["review", "evaluation"]),
            metadata={"description": "A forced review, or a routine evaluation"},
        )
    )
    votes = optional(
        fields.List(fields.Nested(Vote), metadata={"description": "Of a routine evaluation"})
    )


class CouncilState(Answer):
    EXAMPLE = {"enabled": True, "total_votes": 6, "verdicts": [Verdict.EXAMPLE]}

    enabled = fields.Boolean()
    total_votes = fields.Integer(
        metadata={
            "description": "Single votes in forced reviews, the sum of approve_votes and "
            "reject_votes; those of routine evaluations are only in their verdicts"
        }
    )
    verdicts = fields.List(
        fields.Nested(Verdict), metadata={"description": "The latest 100, oldest first"}
    )
    initialized = optional(fields.Boolean())
    approve_votes = optional(fields.Integer())
    reject_votes = optional(fields.Integer())
    consecutive_no_change = optional(fields.Integer())
    done_signals = optional(fields.Integer())
    last_check_iteration = optional(fields.Integer())
    last_track_iteration = optional(fields.Integer())
    files_changed = optional(fields.Integer())
    check_interval = optional(fields.Integer())


class Member(Answer):
    member = fields.String()
    content = fields.String()


class Detail(Answer):
    iteration = fields.String()
    evidence_preview = fields.String()
    members = fields.List(fields.Nested(Member))
    contrarian = fields.String(allow_none=True)


class Verdicts(Answer):
    EXAMPLE = {
        "verdicts": [],
        "details": [
            {
                "iteration": "10",
                "evidence_preview": "...",
                "members": [{"member": "member-1", "content": "..."}],
                "contrarian": "...",
            }
        ],
    }

    verdicts = fields.List(fields.Nested(Verdict), metadata={"description": "Oldest first"})
    details = fields.List(fields.Nested(Detail), metadata={"description": "Newest first"})


class Point(Answer):
    timestamp = fields.String(metadata={"description": "UTC, without a zone"})
    iteration = fields.Integer()
    files_changed = fields.Integer()
    no_change_streak = fields.Integer()
    done_signals = fields.Integer()


class Convergence(Answer):
    EXAMPLE = {
        "dataPoints": [
            {
                "timestamp": "2026-02-02T12:00:00",
                "iteration": 5,
                "files_changed": 3,
                "no_change_streak": 0,
                "done_signals": 1,
            }
        ]
    }

    dataPoints = fields.List(fields.Nested(Point))  # noqa: N815  # the reference's name


class Report(Answer):
    EXAMPLE = {"report": "# Completion Council Report\n\n## Summary\n..."}

    report = fields.String(allow_none=True)


class ReviewRequested(Success):
    EXAMPLE = {"success": True, "message": "Council review requested"}
