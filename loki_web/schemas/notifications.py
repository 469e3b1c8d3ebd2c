"""Schemas of notifications and triggers."""

import re
from collections.abc import Mapping
from typing import Any

from marshmallow import INCLUDE, ValidationError, fields, validate, validates_schema

from loki_web.schemas import base
from loki_web.schemas.base import NOT_BLANK, Answer, Body, Query, Success, TrueFalse, optional
from loki_web.services.notifications.notifications import SEVERITIES

_MOST = 1e12  # far above any meaningful threshold


class NotificationsQuery(Query):
    severity = base.text(description="Only this severity: info, warning or critical")
    acknowledged = TrueFalse(
        load_default=base.left_out,
        metadata={"description": "Filter by whether it was acknowledged"},
    )
    limit = base.limit(50)
    offset = base.offset()


class Notification(Answer):
    EXAMPLE = {
        "id": "notif-001",
        "severity": "warning",
        "message": "Context usage exceeded 80% for agent backend-agent",
        "trigger": "context_threshold",
        "timestamp": "2026-02-13T10:30:00Z",
        "acknowledged": False,
    }

    id = fields.String()
    severity = fields.String(validate=validate.OneOf(SEVERITIES))
    message = fields.String()
    trigger = fields.String()
    timestamp = fields.String()
    acknowledged = fields.Boolean()
    trigger_id = optional(fields.String())
    iteration = optional(fields.Integer())
    data = optional(fields.Dict())


class Trigger(Answer):
    id = fields.String()
    enabled = fields.Boolean()
    threshold = fields.Float(allow_none=True)
    description = fields.String()
    type = optional(fields.String())
    severity = optional(fields.String())
    message = optional(fields.String())


class Triggers(Answer):
    EXAMPLE = {
        "triggers": [
            {
                "id": "context_threshold",
                "enabled": True,
                "threshold": 80,
                "description": "Alert when context window usage exceeds threshold percent",
            },
            {
                "id": "task_failure",
                "enabled": True,
                "threshold": 3,
                "description": "Alert after N consecutive task failures",
            },
            {
                "id": "budget_limit",
                "enabled": False,
                "threshold": 90,
                "description": "Alert when budget usage exceeds threshold percent",
            },
        ]
    }

    triggers = fields.List(fields.Nested(Trigger))


class Threshold(fields.Float):
    """A JSON number, zero or more; numeric strings are rejected."""

    def __init__(self) -> None:
        super().__init__(allow_none=True, validate=validate.Range(0, _MOST))

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> int | float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValidationError("Must be a number.")
        return value


class Switch(fields.Boolean):
    """A JSON boolean; strings and numbers are rejected."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> bool:
        if not isinstance(value, bool):
            raise ValidationError("Must be true or false.")
        return value


def _regular_expression(pattern: str) -> None:
    """Reject a pattern that does not compile.

    :raises ValidationError: for an invalid regular expression.
    """
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError):
        raise ValidationError("Must be a regular expression.") from None


_WORD = [validate.Length(1, 128), NOT_BLANK]


class TriggerChange(Body):
    """Missing fields keep their values; unknown keys are kept in the file."""

    class Meta:
        unknown = INCLUDE

    id = fields.String(required=True, validate=_WORD)
    enabled = Switch()
    threshold = Threshold()
    threshold_pct = Threshold()
    max_no_progress = Threshold()
    max_per_hour = Threshold()
    type = fields.String(validate=_WORD)
    severity = fields.String(validate=validate.OneOf(SEVERITIES))
    message = fields.String(validate=validate.Length(max=2000))
    description = fields.String(validate=validate.Length(max=2000))
    patterns = fields.List(fields.String(validate=[validate.Length(max=1000), _regular_expression]))


class TriggersBody(Body):
    EXAMPLE = {"triggers": [{"id": "context_threshold", "enabled": True, "threshold": 75}]}

    triggers = fields.List(fields.Nested(TriggerChange), required=True)


class TriggersUpdated(Success):
    EXAMPLE = {"success": True, "message": "Triggers updated"}


class AcknowledgeManyBody(Body):
    """Which notifications: `ids`, or all of them."""

    EXAMPLE = {"ids": ["notif-001", "notif-002"]}

    ids = fields.List(fields.String(validate=validate.Length(1, 1000)))
    all = Switch(load_default=False, metadata={"description": "All notifications"})
    acknowledged = Switch(
        load_default=True, metadata={"description": "False takes acknowledgements back"}
    )

    @validates_schema
    def _check_choice(self, data: Mapping[str, Any], **kwargs: Any) -> None:
        if ("ids" in data) == bool(data.get("all")):
            raise ValidationError("Must have either ids, or all: true.", "ids")


class AcknowledgedMany(Success):
    EXAMPLE = {
        "success": True,
        "message": "2 notifications acknowledged",
        "changed": ["notif-001", "notif-002"],
    }

    changed = fields.List(
        fields.String(), metadata={"description": "Ids that were different before"}
    )


class Acknowledged(Success):
    EXAMPLE = {"success": True, "message": "Notification notif-001 acknowledged"}

    notification_id = optional(fields.String())
