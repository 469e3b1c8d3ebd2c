"""Schemas of pausing, resuming and stopping the session."""

from marshmallow import fields

from loki_web.schemas.base import Success, optional


class Paused(Success):
    EXAMPLE = {"success": True, "message": "Session paused"}


class Resumed(Success):
    EXAMPLE = {"success": True, "message": "Session resumed"}


class Stopped(Success):
    EXAMPLE = {"success": True, "message": "Stop signal sent"}

    process_signalled = optional(
        fields.Boolean(metadata={"description": "Whether a process got SIGTERM"})
    )
    marker_written = optional(fields.Boolean(metadata={"description": "Whether STOP is there"}))
    liveness = optional(fields.String())
    reason = optional(fields.String(metadata={"description": "Why no signal was sent"}))
