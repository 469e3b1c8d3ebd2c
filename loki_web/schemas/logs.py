"""Schemas of the log."""

from marshmallow import fields, validate

from loki_web.schemas.base import Answer, Query, limit, optional


class LogsQuery(Query):
    lines = limit(100, most=10_000)


class LogEntry(Answer):
    EXAMPLE = {
        "message": "Session started",
        "level": "info",
        "timestamp": "2026-02-02T12:00:00",
    }

    message = fields.String()
    level = fields.String(
        validate=validate.OneOf(["debug", "info", "warning", "error", "critical"])
    )
    timestamp = fields.String(metadata={"description": "In UTC"})
    timestamp_estimated = optional(
        fields.Boolean(
            metadata={
                "description": "True if the line has no time: that of the nearest line is used"
            }
        )
    )
