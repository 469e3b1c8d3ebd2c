"""Schemas of tokens and the audit log."""

import re
from collections.abc import Mapping
from datetime import date
from typing import Any, ClassVar

from marshmallow import ValidationError, fields, validate

from loki_web.auth.scopes import ROLES, SCOPES
from loki_web.auth.tokens import MAX_EXPIRY_DAYS, MAX_NAME_LENGTH
from loki_web.schemas.base import (
    NOT_BLANK,
    Answer,
    Body,
    Integral,
    Query,
    TrueFalse,
    Whole,
    left_out,
    limit,
    offset,
    optional,
    text,
)

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_TOKEN = {
    "id": "d394e8ffb924",
    "name": "ci-bot",
    "scopes": ["read"],
    "created_at": "2026-02-18T11:05:09.045775+00:00",
    "expires_at": "2026-03-20T11:05:09.045775+00:00",
    "last_used": None,
    "revoked": False,
}


class EnterpriseStatus(Answer):
    EXAMPLE = {
        "auth_enabled": True,
        "oidc_enabled": False,
        "audit_enabled": True,
        "enterprise_mode": True,
    }

    auth_enabled = fields.Boolean()
    oidc_enabled = fields.Boolean()
    audit_enabled = fields.Boolean()
    enterprise_mode = fields.Boolean()


class NewToken(Body):
    EXAMPLE = {"name": "ci-bot", "scopes": ["read"], "expires_days": 30}

    name = fields.String(required=True, validate=[validate.Length(1, MAX_NAME_LENGTH), NOT_BLANK])
    scopes = fields.List(
        fields.String(validate=validate.OneOf(SCOPES)),
        load_default=None,
        allow_none=True,
        validate=validate.Length(1, 50),
        metadata={"description": "Default: read only, unless `role` is given"},
    )
    role = fields.String(load_default=None, allow_none=True, validate=validate.OneOf(list(ROLES)))
    expires_days = Integral(
        load_default=None,
        allow_none=True,
        validate=validate.Range(1, MAX_EXPIRY_DAYS),
        metadata={"description": "Default: the token does not expire"},
    )
    projects = fields.List(
        fields.String(validate=validate.Length(1, 4096)),
        load_default=None,
        allow_none=True,
        validate=validate.Length(1, 100),
        metadata={
            "description": "Ids, aliases or paths of the projects that the token is limited to; "
            "default: all"
        },
    )


class TokensQuery(Query):
    include_revoked = TrueFalse(
        load_default=False, metadata={"description": "Include revoked tokens"}
    )


class RemovalQuery(Query):
    permanent = TrueFalse(
        load_default=False, metadata={"description": "Delete the token instead of revoking it"}
    )


class Token(Answer):
    EXAMPLE: ClassVar[Any] = _TOKEN

    id = fields.String()
    name = fields.String()
    scopes = fields.List(fields.String())
    created_at = fields.String()
    expires_at = fields.String(allow_none=True)
    last_used = fields.String(allow_none=True)
    revoked = fields.Boolean()
    role = optional(fields.String())
    projects = optional(
        fields.List(
            fields.String(),
            metadata={
                "description": "Folders of the projects that the token is limited to; for a "
                "project of another machine, its id in `/api/fleet`"
            },
        )
    )
    revoked_at = optional(fields.String())


class CreatedToken(Token):
    EXAMPLE: ClassVar[Any] = {**_TOKEN, "token": "loki_xxx..."}

    token = fields.String(metadata={"description": "Shown only once; the server stores its hash"})


class Day(fields.Field[date]):
    """A calendar date, `YYYY-MM-DD`."""

    def __init__(self, description: str) -> None:
        metadata = {"description": description, "type": "string", "format": "date"}
        super().__init__(load_default=left_out, metadata=metadata)

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> date:
        try:
            if isinstance(value, str) and _DAY.fullmatch(value):
                return date.fromisoformat(value)
        except ValueError:  # such as 2020-02-30
            raise ValidationError("Not a valid date.") from None
        raise ValidationError("Must be a date such as 2026-02-20.")


class AuditQuery(Query):
    start_date = Day("First day, UTC")
    end_date = Day("Last day, UTC")
    action = text()
    resource_type = text()
    resource_id = text()
    limit = limit(100)
    offset = offset()


class SummaryQuery(Query):
    days = Whole(
        load_default=7,
        validate=validate.Range(1, 365),
        metadata={"description": "Number of days to look back, each of 24 hours"},
    )


class AuditEntry(Answer):
    EXAMPLE = {
        "timestamp": "2026-02-18T11:05:09.046204+00:00",
        "action": "stop",
        "resource_type": "session",
        "resource_id": None,
        "user_id": "ops",
        "token_id": "d394e8ffb924",
        "ip_address": "127.0.0.1",
        "user_agent": "curl/8.5.0",
        "success": True,
        "error": None,
        "details": {"source": "api"},
    }

    timestamp = fields.String()
    action = fields.String()
    resource_type = fields.String()
    resource_id = fields.String(allow_none=True)
    user_id = fields.String(allow_none=True)
    token_id = fields.String(allow_none=True)
    ip_address = fields.String(allow_none=True)
    user_agent = fields.String(allow_none=True)
    success = fields.Boolean()
    error = fields.String(allow_none=True)
    details = fields.Dict(keys=fields.String())
    _integrity_hash = optional(
        fields.String(metadata={"description": "SHA-256 of this entry and the hash before it"})
    )


class RecentFailure(Answer):
    timestamp = fields.String()
    action = fields.String()
    resource_type = fields.String()
    error = fields.String(allow_none=True)


class AuditSummary(Answer):
    EXAMPLE = {
        "period_days": 7,
        "total_events": 3,
        "successful_events": 2,
        "failed_events": 1,
        "by_action": {"stop": 2, "login": 1},
        "by_resource_type": {"session": 2, "api": 1},
        "by_user": {"ops": 2, "anonymous": 1},
        "recent_failures": [
            {
                "timestamp": "2026-02-18T11:05:09.046314+00:00",
                "action": "login",
                "resource_type": "api",
                "error": "Invalid, expired, or revoked token",
            }
        ],
    }

    period_days = fields.Integer()
    total_events = fields.Integer()
    successful_events = fields.Integer()
    failed_events = fields.Integer()
    by_action = fields.Dict(keys=fields.String(), values=fields.Integer())
    by_resource_type = fields.Dict(keys=fields.String(), values=fields.Integer())
    by_user = fields.Dict(keys=fields.String(), values=fields.Integer())
    recent_failures = fields.List(fields.Nested(RecentFailure))
