"""People from an OIDC issuer: nothing of a token counts before its signature is verified."""

from collections.abc import Iterable
from typing import Any

import jwt

from loki_web.auth.identity import PERSON, Identity
from loki_web.auth.jwks import IssuerKeys, PublicKey
from loki_web.auth.scopes import LEAST_ROLE, ROLES, expand_scopes
from loki_web.config.settings import Settings
from loki_web.store.coerce import Json, first_text, texts_in
from loki_web.store.times import parse_time

# Asymmetric ones only: with `none` anybody could sign, with HMAC everybody who has the public key.
ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
)
_CLOCK_SKEW_SECONDS = 10
_DECODER = jwt.PyJWT(
    options={"require": ["exp", "iss", "aud", "sub"], "enforce_minimum_key_length": True}
)


class Verifier:
    """Checks signature, issuer, audience, times and algorithm of the tokens of one issuer."""

    def __init__(self, settings: Settings) -> None:
        self._issuer = settings.oidc_issuer
        self._audience = settings.oidc_audience or settings.oidc_client_id
        self._roles_claim = settings.oidc_roles_claim
        self._keys = IssuerKeys(settings.oidc_issuer)

    def verify(self, raw: str) -> Identity | None:
        """The person a token speaks of; None where it does not hold.

        :raises Unavailable: when the issuer's keys are needed and cannot be had.
        """
        header = _parse_header(raw)
        if header is None:
            return None
        for key in self._keys.find_keys(header.get("kid")):
            claims = self._claims(raw, key, header["alg"])
            if claims is not None:
                return self._identity(claims)
        return None

    def _claims(self, raw: str, key: PublicKey, algorithm: str) -> Json | None:
        if key.algorithm not in (None, algorithm):
            return None
        try:
            # Fails where the kind of key does not go with the algorithm.
            usable = jwt.PyJWK(key.data, algorithm)
            claims: Json = _DECODER.decode(
                raw,
                usable,
                algorithms=[algorithm],
                audience=self._audience,
                issuer=self._issuer,
                leeway=_CLOCK_SKEW_SECONDS,
            )
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
            return None
        return claims

    def _identity(self, claims: Json) -> Identity | None:
        subject, expires = first_text(claims.get("sub")), parse_time(claims.get("exp"))
        if not subject or expires is None:
            return None
        name = first_text(claims.get("email"), claims.get("preferred_username"), subject)
        scopes = [scope for role in self._roles(claims) for scope in ROLES[role]]
        return Identity(PERSON, subject, name, expand_scopes(scopes), expires)

    def _roles(self, claims: Json) -> Iterable[str]:
        """The roles of ours that the claim names; who has none may look."""
        value = _get_claim(claims, self._roles_claim)
        named = value.replace(",", " ").split() if isinstance(value, str) else texts_in(value)
        return [role for role in ROLES if role in named] or [LEAST_ROLE]


def _parse_header(raw: str) -> Json | None:
    """The header of a token that may be worth verifying."""
    if raw.count(".") != 2:
        return None
    try:
        header: Json = jwt.get_unverified_header(raw)
    except (jwt.PyJWTError, ValueError, RecursionError):
        return None
    key_id = header.get("kid")
    if header.get("alg") not in ALGORITHMS or not (key_id is None or isinstance(key_id, str)):
        return None
    return header


def _get_claim(claims: Json, name: str) -> Any:
    """The claim of this name, or the one that its dots lead to."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for part in name.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found
