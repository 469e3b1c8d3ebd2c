"""Schemas of the sign-in of a browser."""

from marshmallow import fields

from loki_web.schemas.base import Answer


class SignedIn(Answer):
    EXAMPLE = {
        "name": "ops",
        "scopes": ["control", "read", "write"],
        "expires_at": "2026-02-20T21:12:59.064935+00:00",
    }

    name = fields.String()
    scopes = fields.List(fields.String())
    expires_at = fields.String(allow_none=True)


class SignIn(SignedIn):
    EXAMPLE = {**SignedIn.EXAMPLE, "csrf_token": "h2pO..."}

    csrf_token = fields.String(
        metadata={"description": "Shown only once. Send it as X-CSRF-Token with each change"}
    )
