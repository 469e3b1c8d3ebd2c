"""Parsers for the values of environment variables.

Each raises ValueError with a text that continues a sentence after the variable's name.
"""

import ipaddress
import json
import re
import socket
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlsplit

from loki_web.errors import SettingsError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
TRUE_WORDS = {"1", "true", "yes", "on"}
WORKER_CLASSES = {"loki": "loki_web.server.worker.Worker", "gthread": "gthread"}
OTHER_WORKER_CLASSES = "other worker classes cannot hand a connection over to the live feed"
FALSE_WORDS = {"", "0", "false", "no", "off"}
ANY = "*"
SELF = "'self'"
DEFAULT_PORTS = {"http": 80, "https": 443}
MAX_PROXIES = 10
_MAPPED_BITS = 96  # before the IPv4 address in an IPv6 address
_DISCOVERY = "/.well-known/openid-configuration"
_LOG_LEVELS = {
    **dict.fromkeys(("trace", "debug", "verbose"), "debug"),
    **dict.fromkeys(("info", "notice"), "info"),
    **dict.fromkeys(("warn", "warning"), "warning"),
    **dict.fromkeys(("err", "error", "critical", "fatal"), "error"),
}
_SERVICE_LINK = re.compile(r"(?:tcp|udp|sctp)://", re.IGNORECASE)
_QUOTED = re.compile(r"""\s*(["'])((?:(?!\1).)*)\1\s*""", re.DOTALL)
_SEPARATORS = re.compile(r"[,\s]+")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_REDIS_OPTIONS = frozenset({"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"})
_PASSWORD = re.compile(r"(://[^:@/]*:)[^/]*@")
_MACHINE = re.compile(r"[A-Za-z0-9_-]{1,63}")
_NUMBER = re.compile(r"\d+|0x[0-9a-f]*")
_CLAIM = re.compile(
    r"""(?:(?P<quote>["'])(?P<quoted>.+?)(?P=quote)|(?P<plain>(?:\\.|[^."'\\])+))(?:\.(?!$)|$)"""
)

ALERT, SESSION_ENDED, COUNCIL_VERDICT = "alert", "session_ended", "council_verdict"
WEBHOOK_EVENTS = (ALERT, SESSION_ENDED, COUNCIL_VERDICT)


class Ignored(ValueError):
    """The value is not meant for this setting: use the default and warn."""


def parse_setting(
    setting: Mapping[str, Any], environ: Mapping[str, str], warn: Callable[[str], None]
) -> Any:
    """Return the value of a setting; its default if the variable is empty or missing.

    :param warn: called with a sentence if a value is ignored.
    :raises SettingsError: with a sentence that names the variable.
    """
    name, text = setting["name"], _clean(environ.get(setting["name"], ""))
    try:
        if name.endswith("_PORT") and _SERVICE_LINK.match(text):
            raise Ignored("is a service link of Kubernetes")
        return setting["parse"](text or setting["default"])
    except Ignored as error:
        warn(f"{name}={text} is ignored: it {error}")
        return setting["parse"](setting["default"])
    except ValueError as error:
        raise SettingsError(f"{name} {error}") from None
    except FileNotFoundError:
        raise SettingsError(
            f"{name} is a relative path, and the current directory does not exist"
        ) from None


def _clean(text: str) -> str:
    """Return a value without the carriage return and the quotes that env files may leave."""
    stripped = text.strip("\r\n")
    quoted = _QUOTED.fullmatch(stripped)
    return quoted[2] if quoted else stripped


def format_setting(value: Any) -> str:
    """Return a value in the form of its variable."""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


def boolean(text: str) -> bool:
    """Parse a word such as `true` or `off`.

    :raises ValueError: for any other word, as all parsers do; the text says what is allowed.
    """
    word = text.strip().lower()
    if word not in TRUE_WORDS | FALSE_WORDS:
        raise ValueError("must be one of 1, true, yes, on, 0, false, no, off")
    return word in TRUE_WORDS


def whole(least: int, most: int) -> Callable[[str], int]:
    """Return a parser of whole numbers from `least` to `most`."""

    def parse(text: str) -> int:
        digits = text.strip()
        if not (digits.isascii() and digits.isdigit() and least <= int(digits[:12]) <= most):
            raise ValueError(f"must be a whole number from {least} to {most}")
        return int(digits)

    return parse


def amount(text: str) -> float | None:
    """Parse a number of zero or more; None if the text is blank."""
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
    """Return the words of a list that is separated by commas or white space; quotes are removed."""
    unquoted = (word.strip("\"'") for word in _SEPARATORS.split(text))
    return tuple(dict.fromkeys(word for word in unquoted if word))


def _each(text: str, parse: Callable[[str], Any], what: str) -> tuple[Any, ...]:
    """Return the parsed words of a list.

    :param what: describes the list in the error.
    """
    parsed = []
    for word in words(text):
        try:
            parsed.append(parse(word))
        except ValueError:
            raise ValueError(
                f"must be a comma-separated list of {what}; {word} is invalid"
            ) from None
    return tuple(dict.fromkeys(parsed))


def parse_address(text: str) -> Address | None:
    """Return an IP address, also in brackets and in any spelling; None for anything else."""
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        return ipaddress.ip_address(bare)
    except ValueError:
        return None


def unmapped(address: Address) -> Address:
    """Return the IPv4 address in an IPv6 address such as `::ffff:10.0.0.1`, else the address."""
    return getattr(address, "ipv4_mapped", None) or address


def host_name(text: str) -> str:
    """Return a host as browsers send it: lower case, punycode, no final dot, no brackets.

    :raises ValueError: for anything else than a host name or an address.
    """
    address = parse_address(text)
    if address is not None:
        return str(address)
    name = unicodedata.normalize("NFKC", text.lower()).replace("\u3002", ".").removesuffix(".")
    labels = [
        label if label.isascii() else f"xn--{label.encode('punycode').decode()}"
        for label in name.split(".")
    ]
    # A browser takes a name with a number at its end for an address in an old spelling.
    if not all(map(_LABEL.fullmatch, labels)) or _NUMBER.fullmatch(labels[-1]):
        raise ValueError("is not a host name")
    return ".".join(labels)


def host(text: str) -> str:
    """Return an address or host name without scheme and port; empty if the text is blank."""
    try:
        return host_name(text.strip()) if text.strip() else ""
    except ValueError:
        raise ValueError("must be an address or a host name, without scheme and port") from None


def hosts(text: str) -> tuple[str, ...]:
    """Return host names as `host_name` does, `*` for any, and `*.` or `.` before a domain.

    `*.example.com` stands for all names below the domain, `.example.com` for itself too. Scheme,
    port and path are dropped: the name alone decides.
    """
    return _each(text, _host_pattern, "host names such as loki.example.com or *.example.com")


def _host_pattern(word: str) -> str:
    if word == ANY or parse_address(word):
        return word if word == ANY else _without_zone(host_name(word))
    parts = _split(word if "://" in word else f"//{word}")
    if parts.path.strip("/") and not parts.scheme:
        raise ValueError("is a path")
    name = parts.hostname or ""
    prefix = next((prefix for prefix in ("*.", ".") if name.startswith(prefix)), "")
    return prefix + _without_zone(host_name(name.removeprefix(prefix)))


def _without_zone(name: str) -> str:
    """Return an address without the zone, such as `%eth0`, which clients do not send."""
    return name.partition("%")[0]


def _split(text: str) -> SplitResult:
    """Split an address with scheme, host, port and path; they are lower case.

    :raises ValueError: for a user, a query, a fragment or another scheme.
    """
    parts = urlsplit(text)
    _ = parts.port  # raises ValueError for an invalid port
    if "@" in parts.netloc or parts.query or parts.fragment or "?" in text or "#" in text:
        raise ValueError("is not an address of a server")
    if parts.scheme not in ("", *DEFAULT_PORTS):
        raise ValueError("has another scheme")
    return parts


def origins(text: str) -> tuple[str, ...]:
    """Return origins as browsers send them: without path and default port; `*` for any."""
    return _each(
        text,
        lambda word: word if word == ANY else _origin(word),
        "origins such as https://example.com, or *",
    )


def ancestors(text: str) -> tuple[str, ...]:
    """Return the sources of a frame-ancestors directive: origins, `'self'`, `https://*.domain`."""
    return _each(text, _ancestor, "origins such as https://example.com or https://*.example.com")


def _ancestor(word: str) -> str:
    if word.lower() == "self":
        return SELF
    if "://*." in word:
        return _origin(word.replace("://*.", "://", 1)).replace("://", "://*.", 1)
    return _origin(word)


def _origin(word: str) -> str:
    parts = _split(word)
    name = host_name(parts.hostname or "")
    url_host = f"[{name}]" if ":" in name else name
    is_usual = parts.port in (None, DEFAULT_PORTS[parts.scheme] if parts.scheme else None)
    if not parts.scheme:
        raise ValueError("has no scheme")
    return f"{parts.scheme}://{url_host}" + ("" if is_usual else f":{parts.port}")


def proxies(text: str) -> int | tuple[Network, ...]:
    """Return how many proxies are trusted, or the networks of those that are."""
    digits = text.strip()
    if digits.isascii() and digits.isdigit():
        return whole(0, MAX_PROXIES)(digits)
    return _each(text, _network, f"addresses, or a number from 0 to {MAX_PROXIES}")


def _network(word: str) -> Network:
    address, slash, length = word.partition("/")
    parsed = parse_address(address)
    if parsed is None:
        raise ValueError("is not an address")
    network = ipaddress.ip_network(f"{parsed}{slash}{length}", strict=False)
    plain = unmapped(network.network_address)
    if plain.version != network.version and network.prefixlen >= _MAPPED_BITS:
        return ipaddress.ip_network(f"{plain}/{network.prefixlen - _MAPPED_BITS}")
    return network


def text(text: str) -> str:
    """Return the text without surrounding space."""
    return text.strip()


def worker_class(text: str) -> str:
    """Return the name of a class of workers that can serve the live feed."""
    word = text.strip().lower()
    if word not in WORKER_CLASSES:
        raise ValueError(f"must be one of {', '.join(WORKER_CLASSES)}: {OTHER_WORKER_CLASSES}")
    return word


def one_of(*allowed: str) -> Callable[[str], str]:
    """Return a parser that accepts these words in upper or lower case."""

    def parse(text: str) -> str:
        word = text.strip().lower()
        if word not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return word

    return parse


def some_of(*allowed: str) -> Callable[[str], tuple[str, ...]]:
    """Return a parser of a list of these words, in upper or lower case."""

    def parse(text: str) -> tuple[str, ...]:
        chosen = words(text.lower())
        if not set(chosen) <= set(allowed):
            raise ValueError(f"must be some of {', '.join(allowed)}")
        return chosen

    return parse


def log_level(text: str) -> str:
    """Return our level for the name of a level, also of other programs, such as `warn`.

    :raises Ignored: for an unknown name.
    """
    level = _LOG_LEVELS.get(text.strip().lower())
    if level is None:
        raise Ignored("must be one of debug, info, warning, error")
    return level


def claim(text: str) -> str:
    """Return the path of a claim as it is; `split_claim` splits it."""
    if not split_claim(text.strip()):
        raise ValueError('must be a claim such as roles, realm_access.roles or "my.app".roles')
    return text.strip()


def split_claim(text: str) -> tuple[str, ...]:
    """Return the parts of the path of a claim, empty if it is malformed.

    Dots lead into objects, except in a quoted part (`"my.app".roles`) or after a backslash.
    """
    parts, end = [], 0
    while end < len(text):
        part = _CLAIM.match(text, end)
        if part is None:
            return ()
        parts.append(part["quoted"] or re.sub(r"\\(.)", r"\1", part["plain"]))
        end = part.end()
    return tuple(parts)


def role_map(*roles: str) -> Callable[[str], tuple[str, ...]]:
    """Return a parser of `group=role` pairs; of a JSON object if names contain commas.

    It returns `group=role` with the group as `normal_group` returns it.
    """

    def parse(text: str) -> tuple[str, ...]:
        if text.lstrip().startswith("{"):
            pairs = _pairs_of_object(text)
        else:
            parts = [pair for pair in re.split(r"[,;\n]", text) if pair.strip()]
            split_parts = (pair.rpartition("=") for pair in parts)
            pairs = [(_clean(group), role) for group, _, role in split_parts]
        normal = [(normal_group(group), role.strip().lower()) for group, role in pairs]
        if not all(group and role in roles for group, role in normal):
            raise ValueError(f"must be group=role pairs with a role of {', '.join(roles)}")
        return tuple(f"{group}={role}" for group, role in normal)

    return parse


def _pairs_of_object(text: str) -> list[tuple[str, str]]:
    try:
        roles_by_group = json.loads(text)
    except ValueError:
        raise ValueError("must be a JSON object, or group=role pairs") from None
    return [
        (group, str(role))
        for group, roles in roles_by_group.items()
        for role in (roles if isinstance(roles, list) else [roles])
    ]


def normal_group(name: str) -> str:
    """Return a group as it is compared: case and a leading slash do not count."""
    return unicodedata.normalize("NFC", name.strip().lstrip("/").casefold())


def issuer(text: str) -> str:
    """Return the URL of an OIDC issuer; https, so that its keys come from an authentic host."""
    address = text.strip()
    if not address:
        return ""
    parts = _split_url(address)
    secure = parts.scheme == "https" or (
        parts.scheme == "http" and is_loopback(parts.hostname or "")
    )
    if not (secure and parts.hostname):
        raise ValueError("must be an https:// URL; http:// is allowed on loopback only")
    is_plain = parts.path.isascii() and address.isprintable() and " " not in address
    if not is_plain or "@" in parts.netloc or "?" in address or "#" in address:
        raise ValueError("must be an https:// URL without user, query, fragment and spaces")
    return f"{parts.scheme}://{parts.netloc.lower()}{parts.path.removesuffix(_DISCOVERY)}"


def redis_url(text: str) -> str:
    """Return the URL of a Redis server; its query may only name files of TLS.

    redis-py takes any option from there, such as one that waits longer or verifies nothing.
    """
    address = text.strip()
    if not address:
        return ""
    parts = _split_url(address)
    if parts.scheme not in ("redis", "rediss", "unix"):
        raise ValueError("must begin with redis://, rediss:// or unix://")
    if not (parts.path if parts.scheme == "unix" else parts.hostname):
        raise ValueError("must name a Redis server, such as rediss://user:password@host:6379/0")
    options = {name for name, _ in parse_qsl(parts.query, keep_blank_values=True)}
    if options - _REDIS_OPTIONS:
        raise ValueError(f"may have the options {', '.join(sorted(_REDIS_OPTIONS))} only")
    return address


def _split_url(address: str) -> SplitResult:
    """Split a URL.

    :raises ValueError: for a host or port that there cannot be. The library's own text may contain
        a part of a password.
    """
    try:
        parts = urlsplit(address)
        is_valid = parts.port != 0
    except ValueError:
        is_valid = False
    if not is_valid:
        raise ValueError("must be a URL with a valid host and port")
    return parts


def hide_password(text: str) -> str:
    """Return a URL without its password, for display."""
    return _PASSWORD.sub(r"\1***@", text)


def machine(text: str) -> str:
    """Return the name of this machine, by default its host name."""
    name = text.strip() or re.sub(r"[^A-Za-z0-9_-]", "-", socket.gethostname())[:63] or "localhost"
    if not _MACHINE.fullmatch(name):
        raise ValueError("must be 1 to 63 letters, digits, hyphens and underscores")
    return name


def webhook(text: str) -> str:
    """Return the URL of a receiver of webhooks. Any host: only the administrator sets it."""
    address = text.strip()
    parts = _split_url(address)
    is_plain = address.isascii() and address.isprintable() and " " not in address
    if address and not (parts.scheme in ("http", "https") and parts.hostname and is_plain):
        raise ValueError("must be an http:// or https:// URL")
    return address


def path(text: str) -> Path | None:
    """Return the absolute path, `~` expanded; None if the text is blank."""
    return _expand(text.strip()) if text.strip() else None


def directory(text: str) -> Path:
    """Return the absolute path of a `.loki/`, by default the one in the working directory."""
    return _expand(text.strip() or ".loki")


def _expand(text: str) -> Path:
    try:
        return Path(text).expanduser().absolute()
    except RuntimeError:
        raise ValueError("begins with ~, and there is no such home directory") from None


def is_loopback(host: str) -> bool:
    """Return whether a host is `localhost` or a literal loopback address; IPv6 also in brackets."""
    address = parse_address(host)
    return host.lower() == "localhost" if address is None else address.is_loopback


def is_this_machine(host: str) -> bool:
    """Return whether a host is on loopback, or the address that stands for all of this machine."""
    address = parse_address(host)
    if address is None:
        return is_loopback(host)
    plain = unmapped(address)
    return plain.is_loopback or plain.is_unspecified
