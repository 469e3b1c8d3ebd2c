"""Errors whose text may reach a client.

Raised where the cause is known; `loki_web.web.error_handlers` turns them into `{"detail": "…"}`.
Every other exception becomes status 500 without details.
"""

from collections.abc import Mapping


class PublicError(Exception):
    """An error with a public text and an HTTP status.

    :param detail: one sentence, without paths or exception text.
    """

    status = 500
    headers: Mapping[str, str] = {}

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class BadRequest(PublicError):
    """A malformed request."""

    status = 400


class Unauthenticated(PublicError):
    """A request without a valid token."""

    status = 401
    headers = {"WWW-Authenticate": "Bearer"}


class Forbidden(PublicError):
    """A request that may not be made."""

    status = 403


class NotFound(PublicError):
    """A resource that does not exist."""

    status = 404


class Conflict(PublicError):
    """A change that does not fit the present state."""

    status = 409


class UnsupportedMediaType(PublicError):
    """A body that is not JSON."""

    status = 415


class UpgradeRequired(PublicError):
    """A WebSocket request of an unsupported version."""

    status = 426
    headers = {"Sec-WebSocket-Version": "13"}


class TooManyRequests(PublicError):
    """Too many calls.

    :param retry_after: seconds until the next call can succeed, at least 1.
    """

    status = 429

    def __init__(self, detail: str, retry_after: int) -> None:
        super().__init__(detail)
        self.headers = {"Retry-After": str(retry_after)}


class Unavailable(PublicError):
    """An external service that the response depends on does not respond.

    :param retry_after: seconds until a retry makes sense, at least 1.
    """

    status = 503

    def __init__(self, detail: str, retry_after: int) -> None:
        super().__init__(detail)
        self.headers = {"Retry-After": str(retry_after)}


class StorageError(PublicError):
    """A file could not be written, or must not be overwritten because it is unreadable."""


class LinkedFolder(StorageError):
    """The state folder is a link out of the project, and writing there is not allowed."""

    status = 403


class SettingsError(Exception):
    """An invalid setting; the text tells the administrator what to change."""


class AwayError(Exception):
    """Redis does not answer, refuses the call, or did so some seconds ago."""
