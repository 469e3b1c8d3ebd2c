"""Parsers for the values of environment variables.

Each raises ValueError with a text that continues a sentence after the variable's name.
"""

import ipaddress
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from loki_web.errors import SettingsError

TRUE_WORDS = {"1", "true", "yes", "on"}
FALSE_WORDS = {"", "0", "false", "no", "off"}


def parse_setting(setting: Mapping[str, Any], environ: Mapping[str, str]) -> Any:
    """Return the value of a setting; its default if the variable is empty or missing.

    :raises SettingsError: with a sentence that names the variable.
    """
    text = environ.get(setting["name"]) or setting["default"]
    try:
        return setting["parse"](text)
    except ValueError as error:
        raise SettingsError(f"{setting['name']} {error}") from None
    except FileNotFoundError:
        raise SettingsError(
            f"{setting['name']} is a relative path, and the current directory does not exist"
        ) from None


def format_setting(value: Any) -> str:
    """Return a value in the form of its variable."""
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
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise ValueError("must be an amount in USD, zero or more")
    return number


def words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def origins(text: str) -> tuple[str, ...]:
    parsed_origins = tuple(word.rstrip("/") for word in words(text))
    for origin in parsed_origins:
        if origin != "*" and not origin.startswith(("http://", "https://")):
            raise ValueError(
                "must be a comma-separated list of origins such as https://example.com"
            )
    return parsed_origins


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
    """Return the URL of an OIDC issuer; https, so that its keys come from an authentic host."""
    address = text.strip()
    if not address:
        return ""
    parts = urlsplit(address)
    secure = parts.scheme == "https" or (
        parts.scheme == "http" and is_loopback(parts.hostname or "")
    )
    if not (secure and parts.hostname):
        raise ValueError("must be an https:// URL; http:// is allowed on loopback only")
    return address


def path(text: str) -> Path | None:
    return Path(text).expanduser().absolute() if text.strip() else None


def directory(text: str) -> Path:
    return Path(text.strip() or ".loki").expanduser().absolute()


def is_loopback(host: str) -> bool:
    """Return whether a host is `localhost` or a literal loopback address; IPv6 also in brackets."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"
