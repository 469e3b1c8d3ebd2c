"""How the text of an environment variable becomes the value of a setting.

Each kind raises ValueError with the rest of a sentence that begins with the variable's name.
"""

import ipaddress
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from loki_web.errors import SettingsError

TRUE_WORDS = {"1", "true", "yes", "on"}
FALSE_WORDS = {"", "0", "false", "no", "off"}


def parsed(setting: Mapping[str, Any], environ: Mapping[str, str]) -> Any:
    """The value of a setting, its default where the variable is empty or missing.

    :raises SettingsError: with a sentence that names the variable.
    """
    text = environ.get(setting["name"]) or setting["default"]
    try:
        return setting["parse"](text)
    except ValueError as error:
        raise SettingsError(f"{setting['name']} {error}") from None
    except FileNotFoundError:
        raise SettingsError(f"{setting['name']} is relative to a folder that is gone") from None


def written(value: Any) -> str:
    """A value as it can stand in the variable."""
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def boolean(text: str) -> bool:
    word = text.strip().lower()
    if word not in TRUE_WORDS | FALSE_WORDS:
        raise ValueError("must be one of 1, true, yes, on, 0, false, no, off")
    return word in TRUE_WORDS


def whole(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        digits = text.strip()
        if not (digits.isascii() and digits.isdigit() and least <= int(digits[:12]) <= most):
            raise ValueError(f"must be a whole number from {least} to {most}")
        return int(digits)

    return parse


def amount(text: str) -> float | None:
    if not text.strip():
        return None
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found < float("inf"):
        raise ValueError("must be an amount in USD, zero or more")
    return found


def words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def origins(text: str) -> tuple[str, ...]:
    found = tuple(word.rstrip("/") for word in words(text))
    for origin in found:
        if origin != "*" and not origin.startswith(("http://", "https://")):
            raise ValueError(
                "must be a comma-separated list of origins such as https://example.com"
            )
    return found


def text(text: str) -> str:
    return text.strip()


def one_of(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        word = text.strip().lower()
        if word not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return word

    return parse


def issuer(text: str) -> str:
    """An OIDC issuer; the keys it publishes are only worth something when nobody can swap them."""
    address = text.strip()
    if not address:
        return ""
    parts = urlsplit(address)
    secure = parts.scheme == "https" or (
        parts.scheme == "http" and is_loopback(parts.hostname or "")
    )
    if not (secure and parts.hostname):
        raise ValueError("must be an https:// address; http:// only on this machine")
    return address


def path(text: str) -> Path | None:
    return Path(text).expanduser().absolute() if text.strip() else None


def directory(text: str) -> Path:
    return Path(text.strip() or ".loki").expanduser().absolute()


def is_loopback(host: str) -> bool:
    """True for `localhost` and for literal loopback addresses, IPv6 in brackets or not."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"
