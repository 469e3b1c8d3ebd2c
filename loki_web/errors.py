"""Errors whose text may reach a client.

Raised where the fault is known, turned into `{"detail": "…"}` at the edge
(`loki_web.web.error_handlers`). Anything else becomes a 500 without words.
"""

from collections.abc import Mapping


class PublicError(Exception):
    """A fault that the caller is told about.

    :param detail: one sentence, without paths or exception text.
    """

    status = 500
    headers: Mapping[str, str] = {}

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class BadRequest(PublicError):
    status = 400


class Unauthenticated(PublicError):
    status = 401
    headers = {"WWW-Authenticate": "Bearer"}


class Forbidden(PublicError):
    status = 403


class NotFound(PublicError):
    status = 404


class UnsupportedMediaType(PublicError):
    status = 415


class UpgradeRequired(PublicError):
    status = 426
    headers = {"Sec-WebSocket-Version": "13"}


class TooManyRequests(PublicError):
    """:param retry_after: seconds until the next call can succeed, at least 1."""

    status = 429

    def __init__(self, detail: str, retry_after: int) -> None:
        super().__init__(detail)
        self.headers = {"Retry-After": str(retry_after)}


class Unavailable(PublicError):
    """Something outside of this server that is needed for the answer does not answer.

    :param retry_after: seconds until it makes sense to ask again, at least 1.
    """

    status = 503

    def __init__(self, detail: str, retry_after: int) -> None:
        super().__init__(detail)
        self.headers = {"Retry-After": str(retry_after)}


class StorageError(PublicError):
    """A file could not be written, or must not be because it cannot be read."""


class SettingsError(Exception):
    """A setting that the server cannot start with; the text is for the administrator."""
