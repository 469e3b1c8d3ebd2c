"""Verification of OIDC tokens. No claim is used before the signature has been verified."""

import logging
import time
from collections.abc import Collection, Iterable, Sequence
from datetime import timedelta
from typing import Any

import jwt

from loki_web.auth.identity import PERSON, Identity
from loki_web.auth.jwks import IssuerKeys, PublicKey
from loki_web.auth.scopes import LEAST_ROLE, ROLES, expand_scopes
from loki_web.config.parsers import normal_group, split_claim
from loki_web.services.context import Sources
from loki_web.store.coerce import Json, first_text, texts_in
from loki_web.store.times import parse_time

# Asymmetric only: anybody can sign with `none`, and with HMAC anybody who has the public key.
ALGORITHMS = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
)
_REASONS: tuple[tuple[type[Exception], str], ...] = (
    (jwt.ExpiredSignatureError, "it has expired, see LOKI_OIDC_LEEWAY"),
    (jwt.ImmatureSignatureError, "it is not valid yet, see LOKI_OIDC_LEEWAY"),
    (jwt.InvalidAudienceError, "its audience is not in LOKI_OIDC_AUDIENCE"),
    (jwt.InvalidIssuerError, "its issuer is not LOKI_OIDC_ISSUER"),
    (jwt.MissingRequiredClaimError, "it lacks one of the claims exp, iss, aud and sub"),
    (jwt.InvalidSignatureError, "its signature does not match the key of the issuer"),
)
_HEADER_TYPES = ("jwt", "at+jwt", "application/at+jwt")
_CLAIMED_TYPES = ("bearer", "id")  # the claim `typ` of Keycloak
_MALFORMED = "it is malformed"
_LOG_SECONDS = 60.0  # between two log lines with the same reason: a page repeats refused requests
_DECODER = jwt.PyJWT(
    options={"require": ["exp", "iss", "aud", "sub"], "enforce_minimum_key_length": True}
)

log = logging.getLogger(__name__)


class _Refused(Exception):
    """The token is refused. The text is the reason for the log, without parts of the token."""


class Verifier:
    """Verify signature, issuer, audience, times and algorithm of the tokens of one issuer."""

    def __init__(self, sources: Sources) -> None:
        settings = sources.settings
        issuer = settings.oidc_issuer.removesuffix("/")
        self._issuers = (issuer, f"{issuer}/")
        self._audiences = settings.oidc_audience or (settings.oidc_client_id,)
        self._client_id = settings.oidc_client_id
        self._leeway = settings.oidc_leeway
        self._roles_claim = split_claim(settings.oidc_roles_claim)
        pairs = [pair.rpartition("=") for pair in settings.oidc_role_map]
        self._role_map = [(group, role) for group, _, role in pairs]
        self._keys = IssuerKeys(settings.oidc_issuer)
        self._logged_at: dict[str, float] = {}

    def verify(self, raw: str) -> Identity | None:
        """Return the identity of a token's subject, None for an invalid token.

        :raises Unavailable: when the issuer's keys are needed and cannot be fetched.
        """
        try:
            return self._identity(self._claims(raw))
        except _Refused as refused:
            self._log(str(refused))
            return None

    def _claims(self, raw: str) -> Json:
        """Return the verified claims of a token.

        A token without key id is tried with each key; the reason is that of the last one.
        """
        header = _parse_header(raw)
        refused = _Refused("it is signed with a key that the issuer does not publish")
        for key in self._keys.find_keys(header.get("kid")):
            try:
                return self._decode(raw, key, header["alg"])
            except _Refused as error:
                refused = error
        raise refused

    def _decode(self, raw: str, key: PublicKey, algorithm: str) -> Json:
        if key.algorithm not in (None, algorithm):
            raise _Refused("its algorithm is not that of the key")
        try:
            # Fails if the key type does not fit the algorithm.
            signing_key = jwt.PyJWK(key.data, algorithm)
            claims: Json = _DECODER.decode(
                raw,
                signing_key,
                algorithms=[algorithm],
                audience=self._audiences,
                issuer=self._issuers,
                leeway=self._leeway,
            )
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            reason = next((text for kind, text in _REASONS if isinstance(error, kind)), _MALFORMED)
            raise _Refused(reason) from None
        return claims

    def _identity(self, claims: Json) -> Identity:
        subject, expires = first_text(claims.get("sub")), parse_time(claims.get("exp"))
        if not subject or expires is None:
            raise _Refused("its subject is empty, or its `exp` is not a time")
        if "events" in claims or str(claims.get("typ", "Bearer")).lower() not in _CLAIMED_TYPES:
            raise _Refused("it is a token of another kind, such as a logout token")
        if claims.get("azp", self._client_id) not in (self._client_id, *self._audiences):
            raise _Refused("it was issued to another client (azp)")
        name = first_text(claims.get("email"), claims.get("preferred_username"), subject)
        scopes = [scope for role in self._roles(claims) for scope in ROLES[role]]
        usable_until = expires + timedelta(seconds=self._leeway)
        return Identity(PERSON, subject, name, expand_scopes(scopes), usable_until)

    def _roles(self, claims: Json) -> Iterable[str]:
        """Return the known roles in the roles claim. Users without a role are viewers."""
        roles_and_groups = {*ROLES, *(group for group, _ in self._role_map)}
        names = _names_in(_get_claim(claims, self._roles_claim), roles_and_groups)
        if self._role_map:
            groups = set(map(normal_group, names))
            names = {role for group, role in self._role_map if group in groups}
        return [role for role in ROLES if role in names] or [LEAST_ROLE]

    def _log(self, reason: str) -> None:
        now = time.monotonic()
        if now - self._logged_at.get(reason, -_LOG_SECONDS) >= _LOG_SECONDS:
            self._logged_at[reason] = now
            log.warning("refused a token of the OIDC issuer: %s", reason)


def _parse_header(raw: str) -> Json:
    """Return the header of a token.

    :raises _Refused: if it is malformed or its algorithm is not allowed.
    """
    try:
        header: Json = jwt.get_unverified_header(raw) if raw.count(".") == 2 else {}
    except (jwt.PyJWTError, ValueError, RecursionError):
        header = {}
    key_id = header.get("kid")
    if not header or not (key_id is None or isinstance(key_id, str)):
        raise _Refused(_MALFORMED)
    if str(header.get("typ", "JWT")).lower() not in _HEADER_TYPES:
        raise _Refused("it is a token of another kind, such as a logout token")
    if header.get("alg") not in ALGORITHMS:
        raise _Refused("its algorithm is not allowed")
    return header


def _names_in(value: Any, roles_and_groups: Collection[str]) -> set[str]:
    """Return the names in a claim: an array, or a text with commas or spaces.

    Spaces separate names only if all of them are roles or groups: "not admin" is not admin.
    """
    if not isinstance(value, str):
        return set(texts_in(value))
    words = value.replace(",", " ").split()
    is_list = all(
        word in roles_and_groups or normal_group(word) in roles_and_groups for word in words
    )
    parts = {part.strip() for part in value.split(",")}
    return {value, *parts} | (set(words) if is_list else set())


def _get_claim(value: Any, path: Sequence[str]) -> Any:
    """Return the claim at a path; None if it is missing.

    A key may contain dots, as a URL does, so joined parts of the path are tried as well.
    """
    if not path:
        return value
    for end in range(len(path), 0, -1) if isinstance(value, dict) else ():
        key = ".".join(path[:end])
        claim = _get_claim(value[key], path[end:]) if key in value else None
        if claim is not None:
            return claim
    return None
