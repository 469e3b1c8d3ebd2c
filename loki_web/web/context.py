"""Access to the sources of the current application, and of the project of the current request."""

import os
from pathlib import Path
from typing import cast
from urllib.parse import quote

from flask import Response, current_app, g, request

from loki_web.errors import Conflict, Forbidden
from loki_web.services.context import Sources, WritableSources
from loki_web.services.fleet import selection
from loki_web.web.access import PROJECT, get_identity

EXTENSION = "loki_web"
PROJECT_HEADER = "X-Loki-Project"
_ROOT = "loki_web_root"


def sources() -> Sources:
    """Return the sources of the project that the request names, else of the one that is shown.

    :raises NotFound: for an unknown project.
    """
    own, identifier = server_sources(), request.args.get(PROJECT)
    if identifier:
        project_sources = selection.open_project(own, selection.find_root(own, identifier))
    else:
        project_sources = selection.choose(own)
    _note_project(project_sources)
    return project_sources


def writable_sources() -> WritableSources:
    """Return sources for views that change something: of the project that the request names.

    A request that names none changes the project of this server, whichever is shown.

    :raises NotFound: for an unknown project.
    :raises Forbidden: if it names none, and the token is limited to other projects.
    :raises Conflict: if another project has no state folder.
    """
    own, visible, identifier = _get_sources(), server_sources(), request.args.get(PROJECT)
    if identifier:
        root = selection.find_root(visible, identifier)
    else:
        root = selection.get_own_root(visible)
    project_sources = own if root == selection.get_root(own) else own.writable_at_project(root)
    if project_sources is not own and not project_sources.project.is_folder(""):
        raise Conflict("The state folder is gone, so nothing was changed")
    _note_project(project_sources)
    return project_sources


def server_sources() -> Sources:
    """Return the sources of this server, for views that are not about a project.

    With a token that is limited to projects, only these can be found in them.
    """
    own, limit = _get_sources(), get_identity().projects
    return own if limit is None else own.limited_to(limit)


def writable_server_sources() -> WritableSources:
    """Return the sources of this server, for views that change something.

    :raises Forbidden: with a token that is limited to projects; the guard has refused it already.
    """
    if get_identity().projects is not None:
        raise Forbidden("The token is limited to projects")
    return _get_sources()


def writable_account_sources() -> WritableSources:
    """Return the sources of this server, for changes of the caller's own sign-in alone."""
    return _get_sources()


def _get_sources() -> WritableSources:
    return cast(WritableSources, current_app.extensions[EXTENSION])


def get_noted_project() -> Path | None:
    """Return the directory of the project that the current request is about."""
    return cast(Path | None, g.get(_ROOT))


def complete_headers(response: Response) -> None:
    """Say in a header which project the response is about: its path, percent-encoded."""
    root = get_noted_project()
    if root is not None:
        response.headers[PROJECT_HEADER] = quote(os.fsencode(root))


def _note_project(project_sources: Sources) -> None:
    setattr(g, _ROOT, selection.get_root(project_sources))
