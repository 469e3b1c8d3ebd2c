"""The API described by itself: the OpenAPI document comes from the schemas of the routes."""

from collections.abc import Sequence
from threading import Lock
from typing import Any

import flask_smorest
from flask import Flask, Response, current_app, jsonify, request
from werkzeug.routing import PathConverter

from loki_web import __version__
from loki_web.schemas.base import Error
from loki_web.store.coerce import Json
from loki_web.web.answers import kept
from loki_web.web.blueprint import AnythingConverter, Blueprint

_EXTENSION = "loki_web.openapi"
_ABOUT = (
    "Watch and steer a Loki Mode session. Everything is read from the session's files, so an "
    'answer is as fresh as they are. Every error is `{"detail": "sentence"}`. Objects may carry '
    "more fields than are named here."
)
_BEARER = {
    "type": "http",
    "scheme": "bearer",
    "description": "A token, asked for when LOKI_ENTERPRISE_AUTH or OIDC is on",
}


class _Api(flask_smorest.Api):  # type: ignore[misc]  # the library has no types
    ERROR_SCHEMA = Error

    def _register_error_handlers(self) -> None:
        """The library's would replace ours."""

    def _register_pagination_header(self) -> None:
        """Lists are plain arrays, without a header about pages."""


class _Description:
    """The OpenAPI document of an application, built when it is first asked for and then kept.

    Building takes longer than everything else at the start of an application, and few are asked.
    """

    def __init__(self, app: Flask, blueprints: Sequence[Blueprint]) -> None:
        self._app = app
        self._blueprints = blueprints
        self._others: list[tuple[str, Json, Json]] = []
        self._lock = Lock()
        self._document: Json | None = None

    def add(self, endpoint: str, tag: Json, operations: Json) -> None:
        """Add a route that no blueprint has, under a tag of its own."""
        self._others.append((endpoint, tag, operations))

    def document(self) -> Json:
        """Return the document; of several threads that ask first, one builds it."""
        with self._lock:
            if self._document is None:
                self._document = self._build()
            return self._document

    def _build(self) -> Json:
        api = _Api(self._app, spec_kwargs={"info": {"description": _ABOUT}})
        api.register_converter(PathConverter, _path_parameter)
        spec = api.spec
        spec.components.security_scheme("bearer", _BEARER)
        spec.options["security"] = [{}, {"bearer": []}]
        for each in self._blueprints:
            each.register_views_in_doc(api, self._app, spec, name=each.name, parameters=None)
            spec.tag({"name": each.name, "description": each.description})
        for endpoint, tag, operations in self._others:
            spec.tag(tag)
            tagged = {method: {**op, "tags": [tag["name"]]} for method, op in operations.items()}
            spec.path(rule=next(self._app.url_map.iter_rules(endpoint)), operations=tagged)
        document: Json = spec.to_dict()
        return document


def install(app: Flask, blueprints: Sequence[Blueprint]) -> None:
    """Register the blueprints and `/openapi.json`, which describes them."""
    app.config.update(
        API_TITLE="Loki Web",
        API_VERSION=__version__,
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX=None,
    )
    app.url_map.converters["anything"] = AnythingConverter
    for blueprint in blueprints:
        app.register_blueprint(blueprint)
    app.extensions[_EXTENSION] = _Description(app, blueprints)
    app.add_url_rule("/openapi.json", "openapi", kept(_document))


def describe(app: Flask, endpoint: str, tag: Json, operations: Json) -> None:
    """Add a route that no blueprint has, under a tag of its own."""
    app.extensions[_EXTENSION].add(endpoint, tag, operations)


def document() -> Json:
    """The OpenAPI 3.1 document of the application at hand, as seen by the request at hand."""
    description: _Description = current_app.extensions[_EXTENSION]
    return {**description.document(), "servers": [{"url": request.script_root or "/"}]}


def _document() -> Response:
    return jsonify(document())


def _path_parameter(_: PathConverter) -> dict[str, Any]:
    return {"type": "string", "minLength": 1}
