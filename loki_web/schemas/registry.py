"""Schemas of registered projects."""

from typing import Any

from marshmallow import ValidationError, fields, validate

from loki_web.schemas.base import Answer, Body, Query, TrueFalse, Whole, left_out, limit
from loki_web.schemas.tasks import Task
from loki_web.services.registry.discovery import DEFAULT_DEPTH, MAX_DEPTH
from loki_web.text import is_clean, is_name

_LONGEST_NAME = 255


class ProjectsQuery(Query):
    include_inactive = TrueFalse(
        load_default=False,
        metadata={"description": "Include projects whose directory does not exist"},
    )


class DiscoverQuery(Query):
    max_depth = Whole(
        load_default=DEFAULT_DEPTH,
        validate=validate.Range(1, MAX_DEPTH),
        metadata={"description": "Number of directory levels to search"},
    )


class Listed(fields.String):
    """A comma-separated list; None if it is empty."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, *args, **kwargs)
        return [part.strip() for part in text.split(",") if part.strip()] or None


class ProjectTasksQuery(Query):
    project_ids = Listed(
        load_default=left_out,
        metadata={"description": "Comma-separated ids, aliases or paths; all projects by default"},
    )


class LearningsQuery(Query):
    limit = limit(100)


class Name(fields.String):
    """A short name, stripped of surrounding space; None if it is blank."""

    def __init__(self) -> None:
        super().__init__(load_default=None, allow_none=True, metadata={"maxLength": _LONGEST_NAME})

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, *args, **kwargs).strip()
        if len(text) > _LONGEST_NAME:
            raise ValidationError(f"Must have at most {_LONGEST_NAME} characters.")
        if not is_clean(text):
            raise ValidationError("Must not contain control characters.")
        if not is_name(text):
            raise ValidationError("Must not have invisible or look-alike characters.")
        return text or None


class Alias(Name):
    """A name that can identify the project in a URL."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, *args, **kwargs)
        if text and (text.startswith("/") or text in (".", "..")):
            raise ValidationError("Must not look like a path.")
        return text


class NewProject(Body):
    EXAMPLE = {"path": "/home/dev/projects/demo", "name": "Demo", "alias": "demo"}

    path = fields.String(required=True, validate=validate.Length(1, 4096))
    name = Name()
    alias = Alias()


class Project(Answer):
    EXAMPLE = {
        "id": "cb4c9705cab2",
        "path": "/home/dev/projects/notes-api",
        "name": "Notes API",
        "alias": "notes",
        "registered_at": "2026-02-20T09:12:49.733919+00:00",
        "updated_at": "2026-02-20T09:12:49.734228+00:00",
        "last_accessed": "2026-02-20T09:12:50.335424+00:00",
        "has_loki_dir": True,
        "status": "active",
    }

    id = fields.String()
    path = fields.String()
    name = fields.String()
    alias = fields.String(allow_none=True)
    registered_at = fields.String()
    updated_at = fields.String()
    last_accessed = fields.String(allow_none=True)
    has_loki_dir = fields.Boolean()
    status = fields.String(validate=validate.OneOf(["active", "missing"]))


class Checks(Answer):
    path_exists = fields.Boolean()
    loki_dir_exists = fields.Boolean()
    state_exists = fields.Boolean()
    prd_exists = fields.Boolean()


class ProjectHealth(Answer):
    EXAMPLE = {
        "status": "idle",
        "checks": {
            "path_exists": True,
            "loki_dir_exists": True,
            "state_exists": True,
            "prd_exists": False,
        },
    }

    status = fields.String(validate=validate.OneOf(["active", "idle", "uninitialized", "missing"]))
    checks = fields.Nested(Checks)


class Discovered(Answer):
    EXAMPLE = {
        "path": "/home/dev/projects/demo",
        "name": "demo",
        "has_state": False,
        "has_prd": True,
    }

    path = fields.String()
    name = fields.String()
    has_state = fields.Boolean()
    has_prd = fields.Boolean()


class Synced(Answer):
    EXAMPLE = {"added": 1, "updated": 0, "missing": 0, "total": 4}

    added = fields.Integer()
    updated = fields.Integer()
    missing = fields.Integer()
    total = fields.Integer()


class ProjectTask(Task):
    EXAMPLE = {
        **Task.EXAMPLE,
        "_project_id": "cb4c9705cab2",
        "_project_name": "Notes API",
        "_project_path": "/home/dev/projects/notes-api",
    }

    _project_id = fields.String()
    _project_name = fields.String()
    _project_path = fields.String()


class Learning(Answer):
    timestamp = fields.String()
    project = fields.String()
    category = fields.String()
    description = fields.String()


class Learnings(Answer):
    EXAMPLE = {
        "patterns": [
            {
                "timestamp": "2026-02-20T09:13:02Z",
                "project": "demo",
                "category": "security",
                "description": "Validate JWT audience and issuer on every request",
            }
        ],
        "mistakes": [],
        "successes": [],
    }

    patterns = fields.List(fields.Nested(Learning))
    mistakes = fields.List(fields.Nested(Learning))
    successes = fields.List(fields.Nested(Learning))
