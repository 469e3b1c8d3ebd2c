"""Schemas of checkpoints."""

import re
import unicodedata
from typing import Any

from marshmallow import fields, validate

from loki_web.schemas.base import Answer, OptionalBody, Query, limit, optional
from loki_web.services.checkpoints.create import LONGEST_MESSAGE

_LINE_END = re.compile(r"[\t\n\v\f\r\x85]+")


class CheckpointsQuery(Query):
    limit = limit(20, most=200)


class Message(fields.String):
    """A single line: line ends become spaces, other control characters are removed."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        text = _LINE_END.sub(" ", super()._deserialize(value, *args, **kwargs))
        return "".join(c for c in text if unicodedata.category(c) != "Cc")


class NewCheckpoint(OptionalBody):
    EXAMPLE = {"message": "Before refactoring auth module"}

    message = Message(load_default="", validate=validate.Length(max=LONGEST_MESSAGE))


class Checkpoint(Answer):
    EXAMPLE = {
        "id": "chk-20260212-143022",
        "created_at": "2026-02-12T14:30:22+00:00",
        "git_sha": "abc1234f",
        "message": "before refactor",
        "files": ["metadata.json", "dashboard-state.json", "session.json"],
    }

    id = fields.String()
    created_at = fields.String()
    git_sha = fields.String()
    message = fields.String()
    files = fields.List(fields.String())


class CreatedCheckpoint(Checkpoint):
    EXAMPLE = {
        "id": "chk-20260212-150105",
        "created_at": "2026-02-12T15:01:05+00:00",
        "git_sha": "def5678a",
        "message": "before deploy",
        "files": ["metadata.json", "dashboard-state.json", "session.json"],
    }

    timestamp = optional(fields.String())
