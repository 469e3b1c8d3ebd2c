"""The kinds of schema, and the fields that read a query string strictly."""

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from marshmallow import EXCLUDE, INCLUDE, RAISE, Schema, ValidationError, fields, validate

_INTEGER = re.compile(r"-?[0-9]{1,15}")


class Answer(Schema):
    """Describes an answer: every field is always there, the object may carry more.

    Services make answers with the right types, so `dump` converts nothing.

    :cvar EXAMPLE: shown in the OpenAPI document, the reference's own where it has one.
    """

    EXAMPLE: ClassVar[Any] = None

    class Meta:
        unknown = INCLUDE

    def on_bind_field(self, field_name: str, field_obj: fields.Field[Any]) -> None:
        field_obj.required = not field_obj.metadata.get("optional")

    def dump(self, obj: Any, *, many: bool | None = None) -> Any:
        return obj


class Query(Schema):
    """The parameters of a query string; ones that are not named are ignored."""

    class Meta:
        unknown = EXCLUDE


class Body(Schema):
    """A JSON object in a request; keys that are not named are refused."""

    EXAMPLE: ClassVar[Any] = None

    class Meta:
        unknown = RAISE


class OptionalBody(Body):
    """A body that may be left out, whatever content type the empty request claims."""


class Whole(fields.Integer):
    """A whole number in a query string: ASCII digits, nothing else."""

    def _deserialize(
        self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any
    ) -> int:
        if not isinstance(value, str) or not _INTEGER.fullmatch(value):
            raise ValidationError("Must be a whole number.")
        return int(value)


class Integral(fields.Integer):
    """A whole number in a JSON body, which may be written `5.0`; not a text, not a boolean."""

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


def limit(default: int | None, most: int = 1000) -> Whole:
    """The `limit` parameter; out of range is an error, not clamped. None for all entries."""
    return Whole(
        load_default=(lambda: None) if default is None else default,
        validate=validate.Range(1, most),
        metadata={"description": "How many entries to return"},
    )


def offset() -> Whole:
    return Whole(
        load_default=0,
        validate=validate.Range(0, 10**9),
        metadata={"description": "How many entries to skip"},
    )


def text(data_key: str | None = None, **metadata: Any) -> fields.String:
    """A filter that matches exactly; left out, it is None and everything matches."""
    return fields.String(
        load_default=lambda: None,
        validate=validate.Length(max=100),
        data_key=data_key,
        metadata=metadata,
    )


def optional(field: fields.Field[Any]) -> fields.Field[Any]:
    """A field of an answer that is not always there."""
    field.metadata = {**field.metadata, "optional": True}
    return field


class Success(Answer):
    """What state-changing calls answer."""

    success = fields.Boolean()
    message = fields.String()


class Error(Answer):
    """What every error answers."""

    EXAMPLE = {"detail": "Description of the error"}

    detail = fields.String()
