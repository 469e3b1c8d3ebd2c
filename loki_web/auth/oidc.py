"""Verification of OIDC tokens. No claim is used before the signature has been verified."""

from collections.abc import Iterable
from typing import Any

import jwt

from loki_web.auth.identity import PERSON, Identity
from loki_web.auth.jwks import IssuerKeys, PublicKey
from loki_web.auth.scopes import LEAST_ROLE, ROLES, expand_scopes
from loki_web.services.context import Sources
from loki_web.store.coerce import Json, first_text, texts_in
from loki_web.store.times import parse_time

# Asymmetric only: anybody can sign with `none`, and with HMAC anybody who has the public key.
ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
)
_CLOCK_SKEW_SECONDS = 10
_DECODER = jwt.PyJWT(
    options={"require": ["exp", "iss", "aud", "sub"], "enforce_minimum_key_length": True}
)


class Verifier:
    """Verify signature, issuer, audience, times and algorithm of the tokens of one issuer."""

    def __init__(self, sources: Sources) -> None:
        settings = sources.settings
        self._issuer = settings.oidc_issuer
        self._audience = settings.oidc_audience or settings.oidc_client_id
        self._roles_claim = settings.oidc_roles_claim
        self._keys = IssuerKeys(settings.oidc_issuer)

    def verify(self, raw: str) -> Identity | None:
        """Return the identity of a token's subject, None for an invalid token.

        :raises Unavailable: when the issuer's keys are needed and cannot be fetched.
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
            # Fails if the key type does not fit the algorithm.
            signing_key = jwt.PyJWK(key.data, algorithm)
            claims: Json = _DECODER.decode(
                raw,
                signing_key,
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
        """Return the known roles in the roles claim. Users without a role are viewers."""
        value = _get_claim(claims, self._roles_claim)
        named = value.replace(",", " ").split() if isinstance(value, str) else texts_in(value)
        return [role for role in ROLES if role in named] or [LEAST_ROLE]


def _parse_header(raw: str) -> Json | None:
    """Return the header of a token, None if it is malformed or its algorithm is not allowed."""
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
    """Return the claim of this name; dots in the name lead into nested claims."""
    if name in claims:
        return claims[name]
    value: Any = claims
    for part in name.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value
