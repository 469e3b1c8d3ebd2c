"""Base classes of the schemas, and fields that parse query strings strictly."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from marshmallow import EXCLUDE, INCLUDE, RAISE, Schema, ValidationError, fields, validate

_INTEGER = re.compile(r"-?[0-9]{1,15}")
# Clients check the pattern of the document with engines that call other characters space.
_SPACE = r"\s\x1c-\x1f\x85\ufeff"
NOT_BLANK = validate.Regexp(rf"^[{_SPACE}]*[^{_SPACE}]", error="Must not be blank.")


class Answer(Schema):
    """A response: every field is required, unknown keys are allowed.

    Services return the right types, so `dump` converts nothing.

    :cvar EXAMPLE: shown in the OpenAPI document; from the API reference if that has one.
    """

    EXAMPLE: ClassVar[Any] = None

    class Meta:
        unknown = INCLUDE

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        """Make the field required, unless it is `optional(...)`."""
        field_obj.required = not field_obj.metadata.get("optional")

    def dump(self, obj: Any, *, many: bool | None = None) -> Any:
        """Return an answer as it is."""
        return obj


class Query(Schema):
    """Parameters of a query string; unknown ones are ignored."""

    class Meta:
        unknown = EXCLUDE


class Body(Schema):
    """A JSON object in a request; unknown keys are rejected."""

    EXAMPLE: ClassVar[Any] = None

    class Meta:
        unknown = RAISE


class OptionalBody(Body):
    """A body that may be empty, whatever the Content-Type header says."""


class Whole(fields.Integer):
    """An integer in a query string: ASCII digits, with an optional minus sign."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> int:
        if not isinstance(value, str) or not _INTEGER.fullmatch(value):
            raise ValidationError("Must be a whole number.")
        return int(value)


class Integral(fields.Integer):
    """An integer in a JSON body, also written `5.0`; strings and booleans are rejected."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> int:
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        if not whole or isinstance(value, bool):
            raise ValidationError("Must be a whole number.")
        return int(value)


class TrueFalse(fields.Boolean):
    """`true` or `false` in a query string."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> bool:
        word = value.lower() if isinstance(value, str) else value
        if word not in ("true", "false"):
            raise ValidationError("Must be true or false.")
        return bool(word == "true")


def left_out() -> None:
    """Return None for a parameter that is left out.

    As the default itself, None would be in the OpenAPI document as a value that can be sent.
    """


def limit(default: int | None, most: int = 1000) -> Whole:
    """Return the `limit` parameter. Values out of range are an error, not clamped.

    :param default: None for all entries.
    """
    return Whole(
        load_default=left_out if default is None else default,
        validate=validate.Range(1, most),
        metadata={"description": "Maximum number of entries"},
    )


def offset() -> Whole:
    """Return the `offset` parameter, 0 by default."""
    return Whole(
        load_default=0,
        validate=validate.Range(0, 10**9),
        metadata={"description": "Number of entries to skip"},
    )


def text(data_key: str | None = None, **metadata: Any) -> fields.String:
    """Return a filter parameter that matches exactly; None, the default, matches everything."""
    return fields.String(
        load_default=left_out,
        validate=validate.Length(max=100),
        data_key=data_key,
        metadata=metadata,
    )


def optional(field: fields.Field[Any]) -> fields.Field[Any]:
    """Mark a field of a response as optional."""
    field.metadata = {**field.metadata, "optional": True}
    return field


class Success(Answer):
    """Response of state-changing calls."""

    success = fields.Boolean()
    message = fields.String()


class Error(Answer):
    """Response of every error."""

    EXAMPLE = {"detail": "Description of the error"}

    detail = fields.String()
