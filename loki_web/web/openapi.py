"""`/openapi.json`: the OpenAPI document, generated from the schemas of the routes."""

from collections.abc import Sequence
from threading import Lock
from typing import Any

import flask_smorest
from flask import Flask, Response, current_app, jsonify, request
from werkzeug.routing import PathConverter

from loki_web import __version__
from loki_web.schemas.base import Error
from loki_web.store.coerce import Json
from loki_web.web.access import CSRF_HEADER, KEY_HEADER, PROJECT
from loki_web.web.answers import kept
from loki_web.web.blueprint import AnythingConverter, Blueprint, NameConverter
from loki_web.web.context import PROJECT_HEADER

_EXTENSION = "loki_web.openapi"
_ABOUT = (
    "Watch and steer a Loki Mode session. Every response is computed from the current files of the "
    'session. Every error is `{"detail": "sentence"}`. Objects may have more fields than are '
    "documented here."
)
_BEARER = {
    "type": "http",
    "scheme": "bearer",
    "description": "An access token, required when LOKI_ENTERPRISE_AUTH or OIDC is on",
}
_OF_SERVER = ("/api/secrets/status", "/api/auth/info")
_PROJECT = {
    "in": "query",
    "name": PROJECT,
    "required": False,
    "description": "Id, alias or path of a registered project. Without it, answers are about the "
    f"project that is shown, and changes about that of this server; the header {PROJECT_HEADER} "
    "says which",
    "schema": {"type": "string"},
}
_API_KEY = {
    "type": "apiKey",
    "in": "header",
    "name": KEY_HEADER,
    "description": "The same token, where a proxy uses the header Authorization itself",
}

_COOKIE = {
    "type": "apiKey",
    "in": "cookie",
    "name": "loki-session-PORT",
    "description": "The cookie that POST /api/auth/session sets; over HTTPS its name begins with "
    f"`__Host-` or `__Secure-`. Changes also need the header {CSRF_HEADER}",
}


class _Api(flask_smorest.Api):  # type: ignore[misc]  # the library has no types
    ERROR_SCHEMA = Error

    def _register_error_handlers(self) -> None:
        """Keep our error handlers, which the library's would replace."""

    def _register_pagination_header(self) -> None:
        """Add no X-Pagination header: lists are plain arrays."""


class _Description:
    """The OpenAPI document of an application, built on first use.

    Building it takes longer than the rest of an application's start, and it is seldom requested.
    """

    def __init__(self, app: Flask, blueprints: Sequence[Blueprint]) -> None:
        self._app = app
        self._blueprints = blueprints
        self._others: list[tuple[str, Json, Json]] = []
        self._lock = Lock()
        self._document: Json | None = None

    def add(self, endpoint: str, tag: Json, operations: Json) -> None:
        """Add a route that is not in a blueprint, under its own tag."""
        self._others.append((endpoint, tag, operations))

    def document(self) -> Json:
        """Return the document; concurrent first calls build it once."""
        with self._lock:
            if self._document is None:
                self._document = self._build()
            return self._document

    def _build(self) -> Json:
        api = _Api(self._app, spec_kwargs={"info": {"description": _ABOUT}})
        api.register_converter(PathConverter, _path_parameter)
        spec = api.spec
        spec.components.security_scheme("bearer", _BEARER)
        spec.components.security_scheme("key", _API_KEY)
        spec.components.security_scheme("cookie", _COOKIE)
        spec.options["security"] = [{}, {"bearer": []}, {"key": []}, {"cookie": []}]
        for each in self._blueprints:
            each.register_views_in_doc(api, self._app, spec, name=each.name, parameters=None)
            spec.tag({"name": each.name, "description": each.description})
        for endpoint, tag, operations in self._others:
            spec.tag(tag)
            tagged = {method: {**op, "tags": [tag["name"]]} for method, op in operations.items()}
            spec.path(rule=next(self._app.url_map.iter_rules(endpoint)), operations=tagged)
        document: Json = spec.to_dict()
        self._add_project(document)
        return document

    def _add_project(self, document: Json) -> None:
        """Add the query parameter `project` to the routes that are about one."""
        tags = {each.name for each in self._blueprints if each.is_of_project}
        for path, item in document["paths"].items():
            for operation in item.values():
                is_described = isinstance(operation, dict) and tags & set(operation.get("tags", ()))
                if is_described and path.startswith("/api/") and path not in _OF_SERVER:
                    operation.setdefault("parameters", []).append(_PROJECT)


def install(app: Flask, blueprints: Sequence[Blueprint]) -> None:
    """Register the blueprints and `/openapi.json`, which describes them."""
    app.config.update(
        API_TITLE="Loki Web",
        API_VERSION=__version__,
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX=None,
    )
    app.url_map.converters.update(anything=AnythingConverter, name=NameConverter)
    for blueprint in blueprints:
        app.register_blueprint(blueprint)
    app.extensions[_EXTENSION] = _Description(app, blueprints)
    app.add_url_rule("/openapi.json", "openapi", kept(_document))


def describe(app: Flask, endpoint: str, tag: Json, operations: Json) -> None:
    """Add a route that is not in a blueprint, under its own tag."""
    app.extensions[_EXTENSION].add(endpoint, tag, operations)


def document() -> Json:
    """Return the OpenAPI 3.1 document of the current application, with the current URL prefix."""
    description: _Description = current_app.extensions[_EXTENSION]
    return {**description.document(), "servers": [{"url": request.script_root or "/"}]}


def _document() -> Response:
    return jsonify(document())


def _path_parameter(_: PathConverter) -> dict[str, Any]:
    return {"type": "string", "minLength": 1}
