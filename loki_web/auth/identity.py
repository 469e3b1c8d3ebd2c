"""Who asks: the holder of a token, a person from the OIDC issuer, or nobody in particular."""

from dataclasses import dataclass
from datetime import datetime

from loki_web.auth.scopes import EVERYTHING, effective

TOKEN, PERSON, NOBODY = "token", "oidc", "anonymous"


@dataclass(frozen=True)
class Identity:
    """:param kind: TOKEN, PERSON or NOBODY.
    :param key: the token's id, or the subject the issuer gave the person.
    :param name: how people call it, for the audit log.
    :param scopes: all that is allowed, implied scopes included.
    :param expires_at: when it ends by itself, as far as that is known.
    """

    kind: str
    key: str
    name: str
    scopes: frozenset[str]
    expires_at: datetime | None = None

    def may(self, scope: str) -> bool:
        return scope in self.scopes


ANYONE = Identity(NOBODY, "", "anonymous", effective([EVERYTHING]))  # while nobody has to say who
STRANGER = Identity(NOBODY, "", "anonymous", frozenset())
