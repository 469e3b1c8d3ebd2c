"""Schemas of the log."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from marshmallow import ValidationError, fields, validate

from loki_web.schemas.base import Answer, Query, limit, optional
from loki_web.services.logs.parser import COLORS
from loki_web.services.logs.search import START, Cursor
from loki_web.store.times import parse_time

LEVELS = ("debug", "info", "warning", "error", "critical")
CURSOR_HEADER = "X-Loki-Cursor"
_CURSOR = re.compile(r"([0-9]{1,20})\.([0-9]{1,18})")
_ONE_LEVEL = f"({'|'.join(LEVELS)})"


class CursorField(fields.Field[Cursor]):
    """A place in the log, as `cursor` of an entry or the header has it."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> Cursor:
        if value == "start" and attr == "after":
            return START
        match = _CURSOR.fullmatch(value)
        if not match:
            raise ValidationError("Must be the cursor of an entry or an answer.")
        return Cursor(int(match[1]), int(match[2]))


class Instant(fields.Field[datetime]):
    """A time; without a zone it is UTC."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> datetime:
        moment = parse_time(value)
        if moment is None:
            raise ValidationError("Must be a time such as 2026-02-20T08:00:00Z.")
        return moment


class Levels(fields.Field[frozenset[str]]):
    """Levels, separated by commas."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> frozenset[str]:
        levels = frozenset(value.split(","))
        if not levels.issubset(LEVELS):
            raise ValidationError(f"Must be of {', '.join(LEVELS)}, separated by commas.")
        return levels


def _about(text: str, **more: Any) -> dict[str, Any]:
    return {"description": text, "type": "string", **more}


class LogsQuery(Query):
    """Any parameter besides `lines` searches the whole log, not only its end."""

    lines = limit(100, most=10_000)
    query = fields.String(
        validate=validate.Length(1, 200),
        metadata=_about("A text in the message, regardless of case"),
    )
    level = Levels(
        metadata=_about("Levels, separated by commas", pattern=f"^{_ONE_LEVEL}(,{_ONE_LEVEL})*$")
    )
    since = Instant(metadata=_about("The first second; UTC without a zone", format="date-time"))
    until = Instant(metadata=_about("The last second; UTC without a zone", format="date-time"))
    before = CursorField(
        metadata=_about(
            "Return the last entries before this cursor", pattern=f"^{_CURSOR.pattern}$"
        )
    )
    after = CursorField(
        metadata=_about(
            "Return the first entries after this cursor; `start` for the beginning of the log",
            pattern=f"^(start|{_CURSOR.pattern})$",
        )
    )


class Color(Answer):
    start = fields.Integer()
    end = fields.Integer()
    color = fields.String(validate=validate.OneOf(COLORS))


class LogEntry(Answer):
    EXAMPLE = {
        "message": "Session started",
        "level": "info",
        "timestamp": "2026-02-02T12:00:00",
    }

    message = fields.String()
    level = fields.String(validate=validate.OneOf(LEVELS))
    timestamp = fields.String(metadata={"description": "In UTC"})
    timestamp_estimated = optional(
        fields.Boolean(
            metadata={
                "description": "True if the line has no time: that of the nearest line is used"
            }
        )
    )
    cursor = optional(
        fields.String(
            metadata={"description": "The place of the line in the log; only with a search"}
        )
    )
    colors = optional(
        fields.List(
            fields.Nested(Color),
            metadata={"description": "Colors that the line has on a terminal; only with a search"},
        )
    )
