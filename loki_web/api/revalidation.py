"""Clients that ask again and again are told that nothing has changed.

The tag is a hash of the answer, so all workers agree on it and nothing has to be remembered. It is
weak, for it stands for the compressed and the plain form alike.
"""

import hashlib

from flask import Flask, Response, request

# Browsers may keep the answer, for this user alone, and ask before each use of it.
_KEPT = "private, no-cache"
# What is never kept, not even to be asked about: keys, accounts and who did what.
_NEVER_KEPT = ("/api/enterprise/", "/api/secrets/")


def install(app: Flask) -> None:
    app.after_request(_tag)


def _tag(response: Response) -> Response:
    """An ETag for what is read as JSON; 304 without a body for who holds the same already."""
    if not _can_be_kept(response):
        return response
    response.set_etag(hashlib.blake2b(response.get_data(), digest_size=16).hexdigest(), weak=True)
    response.headers["Cache-Control"] = _KEPT
    if request.if_none_match:
        response.make_conditional(request)
    return response


def _can_be_kept(response: Response) -> bool:
    return (
        request.method in ("GET", "HEAD")
        and response.status_code == 200
        and response.is_json
        and not response.is_streamed
        and not request.path.startswith(_NEVER_KEPT)
    )
