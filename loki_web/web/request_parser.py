"""How a request is read before a schema sees it."""

from typing import Any, NoReturn

import marshmallow
from flask import Request
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import RequestEntityTooLarge

from loki_web.errors import BadRequest, UnsupportedMediaType
from loki_web.schemas.base import OptionalBody
from loki_web.store.json_text import Damaged, parse_strict

# One MiB of content and the few keys around it.
MAX_BODY_BYTES = 1024 * 1024 + 4096
_MAX_SENTENCE = 300


class RequestParser(FlaskParser):
    """Strict where webargs is lenient; every fault is a sentence with status 400."""

    DEFAULT_VALIDATION_STATUS = 400

    def load_json(self, req: Request, schema: marshmallow.Schema) -> Any:
        data = _whole_body(req)
        if not data.strip():
            if isinstance(schema, OptionalBody):
                return {}
            raise BadRequest("A JSON object is needed as the body")
        if not req.is_json:
            raise UnsupportedMediaType("The body must have the content type application/json")
        try:
            value = parse_strict(data)
        except Damaged:
            raise BadRequest("The body is not valid JSON") from None
        if not isinstance(value, dict):
            raise BadRequest("The body must be a JSON object")
        return value

    def load_querystring(self, req: Request, schema: marshmallow.Schema) -> Any:
        known = {field.data_key or name for name, field in schema.fields.items()}
        for name, values in req.args.lists():
            if len(values) > 1 and name in known:
                raise BadRequest(f"{name} is given more than once")
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
        raise BadRequest(_sentence(error.messages_dict)) from None


def _whole_body(req: Request) -> bytes:
    """The body; it is not acted upon where its end is missing.

    The framework does not notice that a client hung up in the middle of what it had announced, and
    cuts off a body that comes in chunks at the limit.
    """
    data = req.get_data()
    if len(data) >= MAX_BODY_BYTES:
        raise RequestEntityTooLarge
    if len(data) < (req.content_length or 0):
        raise BadRequest("The body is shorter than its announced length")
    return data


def _sentence(messages: dict[str, Any]) -> str:
    """The first fault in words; the outermost key, where the value was found, is left out."""
    names: list[str] = []
    found: Any = next(iter(messages.values()))
    while isinstance(found, dict):
        name, found = next(iter(found.items()))
        names.append(str(name))
    words = found[0] if isinstance(found, list) and found else found
    named = f"{'.'.join(names)}: {words}" if names else str(words)
    return "".join(c if c.isprintable() else "�" for c in named[:_MAX_SENTENCE])
