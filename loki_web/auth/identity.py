"""The identity behind a request: the holder of a token, an OIDC user, or anonymous."""

from dataclasses import dataclass
from datetime import datetime

from loki_web.auth.scopes import ADMIN, CONTROL, EVERYTHING, expand_scopes

TOKEN, PERSON, ANONYMOUS = "token", "oidc", "anonymous"


@dataclass(frozen=True)
class Identity:
    """An authenticated or anonymous caller.

    :param kind: TOKEN, PERSON or ANONYMOUS.
    :param key: the token's id, or the OIDC subject.
    :param name: the name in the audit log.
    :param scopes: all allowed scopes, implied ones included.
    :param projects: the projects to which it is limited, see `Sources.limit`; None for all.
    :param expires_at: when the token expires, None if it never does.
    :param sign_in: the key of the sign-in whose cookie was sent; empty for a token.
    """

    kind: str
    key: str
    name: str
    scopes: frozenset[str]
    expires_at: datetime | None = None
    projects: frozenset[str] | None = None
    sign_in: str = ""

    def has_scope(self, scope: str) -> bool:
        """Return whether the identity has a scope, also by implication."""
        return scope in self.scopes

    @property
    def may_control(self) -> bool:
        """Return whether it may change the session; always true while authentication is off."""
        return CONTROL in self.scopes or ADMIN in self.scopes


# While authentication is off, every request has all scopes.
UNRESTRICTED = Identity(ANONYMOUS, "", "anonymous", expand_scopes([EVERYTHING]))
UNAUTHENTICATED = Identity(ANONYMOUS, "", "anonymous", frozenset())
