"""Parse request bodies and query strings before a schema validates them."""

from typing import Any, NoReturn

import marshmallow
from flask import Request
from marshmallow.exceptions import SCHEMA
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import RequestEntityTooLarge

from loki_web.errors import BadRequest, UnsupportedMediaType
from loki_web.schemas.base import OptionalBody
from loki_web.store.json_text import Damaged, parse_strict
from loki_web.text import printable

# 1 MiB of content and a few keys around it.
MAX_BODY_BYTES = 1024 * 1024 + 4096
_MAX_DETAIL = 300


class RequestParser(FlaskParser):
    """A stricter webargs parser; every error is one sentence with status 400."""

    DEFAULT_VALIDATION_STATUS = 400

    def load_json(self, req: Request, schema: marshmallow.Schema) -> Any:
        """Return the JSON object in the body.

        :raises BadRequest: if the body is not a JSON object, or is missing and required.
        :raises UnsupportedMediaType: if the Content-Type is not that of JSON.
        """
        data = _whole_body(req)
        if not data.strip():
            if isinstance(schema, OptionalBody):
                return {}
            raise BadRequest("The body must be a JSON object")
        if not req.is_json:
            raise UnsupportedMediaType("The Content-Type must be application/json")
        try:
            value = parse_strict(data)
        except Damaged:
            raise BadRequest("The body is not valid JSON") from None
        if not isinstance(value, dict):
            raise BadRequest("The body must be a JSON object")
        return value

    def load_querystring(self, req: Request, schema: marshmallow.Schema) -> Any:
        """Return the query parameters by name.

        :raises BadRequest: if a known parameter is repeated.
        """
        documented = {field.data_key or name for name, field in schema.fields.items()}
        for name, values in req.args.lists():
            if len(values) > 1 and name in documented:
                raise BadRequest(f"{name} must be given only once")
        return req.args.to_dict()

    def handle_error(
        self,
        error: marshmallow.ValidationError,
        req: Request,
        schema: marshmallow.Schema,
        *,
        error_status_code: int | None,
        error_headers: Any,
    ) -> NoReturn:
        """Raise the first error of a schema as one sentence.

        :raises BadRequest: always.
        """
        raise BadRequest(_sentence(error.messages_dict)) from None


def _whole_body(req: Request) -> bytes:
    """Return the complete body.

    Flask does not detect a body shorter than its Content-Length (the client disconnected), and
    silently truncates a chunked body at the limit.

    :raises RequestEntityTooLarge: when the body exceeds MAX_BODY_BYTES.
    :raises BadRequest: when the body is truncated.
    """
    data = req.get_data()
    if len(data) >= MAX_BODY_BYTES:
        raise RequestEntityTooLarge
    if len(data) < (req.content_length or 0):
        raise BadRequest("The body is shorter than its Content-Length")
    return data


def _sentence(messages: dict[str, Any]) -> str:
    """Return the first error as a sentence, without the outermost key (json or query)."""
    names: list[str] = []
    error: Any = next(iter(messages.values()))
    while isinstance(error, dict):
        name, error = next(iter(error.items()))
        if name != SCHEMA:
            names.append(str(name))
    text = error[0] if isinstance(error, list) and error else error
    sentence = f"{'.'.join(names)}: {text}" if names else str(text)
    return printable(sentence[:_MAX_DETAIL])[:_MAX_DETAIL]
