"""Blueprints whose routes declare schemas, for validation and for the OpenAPI document."""

import sys
from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any, Protocol, TypeVar, cast

import flask_smorest
from flask import Response
from werkzeug.routing import PathConverter

from loki_web.schemas.base import Answer, Body, OptionalBody, Query
from loki_web.web.answers import kept
from loki_web.web.request_parser import RequestParser

View = TypeVar("View", bound=Callable[..., Any])


class Decorator(Protocol):
    """A decorator that keeps the type of the view."""

    def __call__(self, view: View, /) -> View:
        """Return the decorated view."""


IDENTIFIER = {"type": "string", "pattern": "^[A-Za-z0-9_-]+$", "minLength": 1, "maxLength": 128}


class AnythingConverter(PathConverter):
    """URL converter for a name without slashes or an absolute path: both identify a project."""

    part_isolating = False
    regex = "/.*?|[^/]+"


class NameConverter(PathConverter):
    """URL converter for the name of a token, which may have slashes except at its end."""

    part_isolating = False
    regex = "/.*?|[^/](?:.*?[^/])?"


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]  # the library has no types
    """The routes of one resource. The docstring of its module describes it in `/docs`.

    :param is_of_project: whether its routes below `/api/` are about the project of the request.
    """

    ARGUMENTS_PARSER = RequestParser()

    def __init__(self, name: str, import_name: str, *, is_of_project: bool = True) -> None:
        self.is_of_project = is_of_project
        super().__init__(name, import_name, description=sys.modules[import_name].__doc__)

    def get(self, rule: str, *, is_confidential: bool = False, **options: Any) -> Decorator:
        """Add a GET route. Its response is cached until a file changes, see `web.answers`.

        :param is_confidential: whether clients must not keep the response; for routes that show
            secrets, accounts or the audit log.
        """
        routed = self._routed("GET", rule, options)
        return lambda view: routed(kept(view, is_confidential=is_confidential))

    def get_anew(self, rule: str, **options: Any) -> Decorator:
        """Add a GET route whose response is never cached: it is of this moment."""
        return self._routed("GET", rule, options)

    def post(self, rule: str, **options: Any) -> Decorator:
        """Add a POST route."""
        return self._routed("POST", rule, options)

    def put(self, rule: str, **options: Any) -> Decorator:
        """Add a PUT route."""
        return self._routed("PUT", rule, options)

    def delete(self, rule: str, **options: Any) -> Decorator:
        """Add a DELETE route."""
        return self._routed("DELETE", rule, options)

    def _routed(self, method: str, rule: str, options: dict[str, Any]) -> Decorator:
        decorator: Decorator = self.route(rule, methods=[method], **options)
        return decorator

    def query(self, schema: type[Query]) -> Decorator:
        """Pass the validated query parameters to the view, as a dictionary."""
        decorator: Decorator = self.arguments(schema, location="query")
        return decorator

    def body(self, schema: type[Body]) -> Decorator:
        """Pass the validated body to the view, as a dictionary; empty if it is missing."""
        decorator: Decorator = self.arguments(
            schema,
            location="json",
            required=not issubclass(schema, OptionalBody),
            example=schema.EXAMPLE,
        )
        return decorator

    def answers(
        self,
        status: int,
        schema: type[Answer] | None = None,
        *,
        many: bool = False,
        headers: dict[str, str] | None = None,
    ) -> Decorator:
        """Declare status and schema of success; 204 has no body, whatever the view returns.

        :param headers: those that the view may return beside the body, each with its description.
        """
        if status == HTTPStatus.NO_CONTENT:
            return self._answers_nothing()
        example = schema.EXAMPLE if schema else None
        decorator: Decorator = self.response(
            status,
            schema(many=many) if schema else None,
            example=[example] if many and example is not None else example,
            headers={
                name: {"description": text, "schema": {"type": "string"}}
                for name, text in (headers or {}).items()
            },
        )
        return decorator

    def _answers_nothing(self) -> Decorator:
        described = self.response(HTTPStatus.NO_CONTENT)

        def decorate(view: View) -> View:
            @wraps(view)
            def emptied(*args: Any, **kwargs: Any) -> Response:
                view(*args, **kwargs)
                return Response(status=HTTPStatus.NO_CONTENT)

            return cast(View, described(emptied))

        return decorate

    def errors(self, reasons: dict[int, str]) -> Decorator:
        """Declare errors of this route besides the common ones: `{404: "Checkpoint not found"}`."""

        def decorate(view: View) -> View:
            for status, reason in reasons.items():
                view = self.alt_response(status, schema="Error", description=reason)(view)
            return view

        return decorate

    def identified_by(self, name: str, about: str) -> list[dict[str, Any]]:
        """Return the path parameter for ids of letters, digits, hyphens and underscores."""
        return [{"in": "path", "name": name, "description": about, "schema": IDENTIFIER}]
