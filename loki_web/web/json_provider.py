"""JSON of responses: strict, keys in the order of the services."""

from typing import Any

import orjson
from flask import Response
from flask.json.provider import JSONProvider


class OrjsonProvider(JSONProvider):
    """Serialize with orjson, which writes NaN and infinity as null; browsers reject both."""

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        """Return a value as JSON text."""
        return orjson.dumps(obj, option=orjson.OPT_NON_STR_KEYS).decode()

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        """Return the value of a JSON text."""
        return orjson.loads(s)

    def response(self, *args: Any, **kwargs: Any) -> Response:
        """Return a response with a value as its JSON body."""
        body = orjson.dumps(
            self._prepare_response_obj(args, kwargs),
            option=orjson.OPT_NON_STR_KEYS | orjson.OPT_APPEND_NEWLINE,
        )
        return Response(body, mimetype="application/json")
