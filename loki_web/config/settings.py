"""Every setting of the server, read once from the environment and checked before it starts."""

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from loki_web.config import parsers
from loki_web.config.checks import (
    check_audit,
    check_audit_key,
    check_exposure,
    check_free,
    check_loki_dir,
    check_oidc,
    check_redis,
    check_socket,
    check_tls,
)

SECRET_NAMES = ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GOOGLE_API_KEY")
_OF_ACCOUNTS = (
    *("LOKI_AUDIT_", "LOKI_ENTERPRISE_AUDIT", "LOKI_CACHE_DIR"),
    *("LOKI_REDIS_URL", "LOKI_MACHINE"),
)


def _setting(
    name: str, default: str, parse: Callable[[str], Any], about: str, *, is_secret: bool = False
) -> Any:
    """Return a field read from the environment variable `name`.

    :param about: its line in docs/operations.md and in the help of the command line.
    :param is_secret: whether it is never shown; it has no option, which others could see.
    """
    metadata = {"name": name, "default": default, "parse": parse, "about": about}
    metadata["is_secret"] = is_secret
    return field(default=MISSING, metadata=metadata)


@dataclass(frozen=True)
class Settings:
    """All settings of the server; created by `from_env`."""

    loki_dir: Path = _setting(
        "LOKI_DIR", ".loki", parsers.directory, "State directory of the session"
    )
    allow_linked_dir: bool = _setting(
        "LOKI_ALLOW_LINKED_DIR",
        "false",
        parsers.boolean,
        "Write to a state directory that is a link out of the project; it is read in any case",
    )
    host: str = _setting("LOKI_DASHBOARD_HOST", "127.0.0.1", parsers.host, "Address to listen on")
    port: int = _setting(
        "LOKI_DASHBOARD_PORT", "57374", parsers.whole(1, 65535), "Port to listen on"
    )
    cors_origins: tuple[str, ...] = _setting(
        "LOKI_DASHBOARD_CORS",
        "http://localhost:57374,http://127.0.0.1:57374",
        parsers.origins,
        "Origins whose pages may call the API, comma-separated; `*` for any",
    )
    tls_cert: Path | None = _setting(
        "LOKI_TLS_CERT",
        "",
        parsers.path,
        "PEM certificate file; with `LOKI_TLS_KEY`, the server uses HTTPS",
    )
    tls_key: Path | None = _setting("LOKI_TLS_KEY", "", parsers.path, "PEM private key file")
    allowed_hosts: tuple[str, ...] = _setting(
        "LOKI_ALLOWED_HOSTS",
        "",
        parsers.hosts,
        "Additional host names that clients may use, comma-separated; "
        "`*.example.com` for all subdomains, `*` for any",
    )
    frame_ancestors: tuple[str, ...] = _setting(
        "LOKI_FRAME_ANCESTORS",
        "",
        parsers.ancestors,
        "Origins whose pages may embed this page in a frame, comma-separated; `self` for its own",
    )
    trusted_proxies: int | tuple[parsers.Network, ...] = _setting(
        "LOKI_TRUSTED_PROXIES",
        "0",
        parsers.proxies,
        "Proxies whose X-Forwarded headers are trusted: their number, or their addresses",
    )
    allow_anonymous: bool = _setting(
        "LOKI_ALLOW_ANONYMOUS",
        "false",
        parsers.boolean,
        "Allow a public address without authentication",
    )
    workers: int = _setting("LOKI_WORKERS", "2", parsers.whole(1, 64), "Server processes")
    threads: int = _setting(
        "LOKI_THREADS", "8", parsers.whole(1, 256), "Request threads per process"
    )
    worker_class: str = _setting(
        "LOKI_WORKER_CLASS",
        "loki",
        parsers.worker_class,
        "gunicorn worker class: `loki` or `gthread`",
    )
    max_ws_connections: int = _setting(
        "LOKI_MAX_WS_CONNECTIONS",
        "1000",
        parsers.whole(1, 1_000_000),
        "Maximum of open WebSockets and event streams, all workers together",
    )
    watch: str = _setting(
        "LOKI_WATCH",
        "auto",
        parsers.one_of("auto", "events", "poll"),
        "How file changes are detected: `events` (inotify), `poll` (each second), or `auto`",
    )
    log_format: str = _setting(
        "LOKI_LOG_FORMAT",
        "text",
        parsers.one_of("text", "json"),
        "Format of log lines: `text` or `json`",
    )
    log_level: str = _setting(
        "LOKI_LOG_LEVEL",
        "info",
        parsers.log_level,
        "Lowest level that is logged: `debug`, `info`, `warning` or `error`",
    )
    access_log: bool = _setting(
        "LOKI_ACCESS_LOG", "false", parsers.boolean, "Log each request, without its query string"
    )
    control_rate_limit: int = _setting(
        "LOKI_CONTROL_RATE_LIMIT",
        "60",
        parsers.whole(1, 1_000_000),
        "State-changing calls per minute and client",
    )
    signal_other_users: bool = _setting(
        "LOKI_SIGNAL_OTHER_USERS",
        "false",
        parsers.boolean,
        "Let Stop and Kill signal processes of other users, where the system allows it",
    )
    cache_dir: Path | None = _setting(
        "LOKI_CACHE_DIR",
        "",
        parsers.path,
        "Folder for caches that the workers share; default `~/.cache/loki-web`",
    )
    redis_url: str = _setting(
        "LOKI_REDIS_URL",
        "",
        parsers.redis_url,
        "Redis server through which the servers of several machines are one: "
        "`rediss://user:password@host:6379/0`",
    )
    machine: str = _setting(
        "LOKI_MACHINE",
        "",
        parsers.machine,
        "Name of this machine among those that share a Redis server; default: the host name",
    )
    is_edge: bool = _setting(
        "LOKI_EDGE",
        "false",
        parsers.boolean,
        "Serve sessions of other machines from Redis; this one has no session of its own",
    )
    enterprise_auth: bool = _setting(
        "LOKI_ENTERPRISE_AUTH", "false", parsers.boolean, "Require a bearer token for every call"
    )
    enterprise_audit: bool = _setting(
        "LOKI_ENTERPRISE_AUDIT", "false", parsers.boolean, "Allow queries of the audit log"
    )
    sign_in_hours: int = _setting(
        "LOKI_SIGN_IN_HOURS",
        "12",
        parsers.whole(1, 24 * 30),
        "Hours after which a browser has to sign in again",
    )
    oidc_issuer: str = _setting(
        "LOKI_OIDC_ISSUER",
        "",
        parsers.issuer,
        "URL of the OIDC issuer; OIDC is on if the client id is set too",
    )
    oidc_client_id: str = _setting("LOKI_OIDC_CLIENT_ID", "", parsers.text, "OIDC client id")
    oidc_audience: tuple[str, ...] = _setting(
        "LOKI_OIDC_AUDIENCE",
        "",
        parsers.words,
        "Accepted audiences of OIDC tokens, comma-separated; default: the client id",
    )
    oidc_leeway: int = _setting(
        "LOKI_OIDC_LEEWAY",
        "60",
        parsers.whole(0, 600),
        "Seconds by which the issuer's clock may differ from ours",
    )
    oidc_roles_claim: str = _setting(
        "LOKI_OIDC_ROLES_CLAIM",
        "roles",
        parsers.claim,
        "Claim with the roles admin, operator, viewer or auditor; dots separate nested names, "
        'except in quotes: `"my.app".roles`',
    )
    oidc_role_map: tuple[str, ...] = _setting(
        "LOKI_OIDC_ROLE_MAP",
        "",
        parsers.role_map("admin", "operator", "viewer", "auditor"),
        "Roles of the issuer's groups: `sre=operator,Loki Admins=admin`, or a JSON object; "
        "if set, other groups give no role",
    )
    oidc_skip_signature_verify: bool = _setting(
        "LOKI_OIDC_SKIP_SIGNATURE_VERIFY",
        "false",
        parsers.boolean,
        "Not supported: tokens are always verified, and the server does not start if it is on",
    )
    audit_disabled: bool = _setting(
        "LOKI_AUDIT_DISABLED",
        "false",
        parsers.boolean,
        "Do not record the audit log; ignored if LOKI_ENTERPRISE_AUDIT is on",
    )
    audit_required: bool = _setting(
        "LOKI_AUDIT_REQUIRED",
        "false",
        parsers.boolean,
        "Refuse changes (503) while their audit entries cannot be written",
    )
    audit_no_integrity: bool = _setting(
        "LOKI_AUDIT_NO_INTEGRITY",
        "false",
        parsers.boolean,
        "Write audit entries without the hash chain",
    )
    audit_key_file: Path | None = _setting(
        "LOKI_AUDIT_KEY_FILE",
        "",
        parsers.path,
        "Key that signs the audit log; default `~/.config/loki-web/audit.key`",
    )
    audit_max_size_mb: int = _setting(
        "LOKI_AUDIT_MAX_SIZE_MB",
        "10",
        parsers.whole(1, 10_000),
        "Size in MB at which an audit file is rotated",
    )
    audit_max_files: int = _setting(
        "LOKI_AUDIT_MAX_FILES", "10", parsers.whole(1, 10_000), "Number of audit files to keep"
    )
    audit_syslog_host: str = _setting(
        "LOKI_AUDIT_SYSLOG_HOST",
        "",
        parsers.host,
        "Syslog server that audit entries are also sent to",
    )
    audit_syslog_port: int = _setting(
        "LOKI_AUDIT_SYSLOG_PORT", "514", parsers.whole(1, 65535), "Port of the syslog server"
    )
    audit_syslog_proto: str = _setting(
        "LOKI_AUDIT_SYSLOG_PROTO",
        "udp",
        parsers.one_of("udp", "tcp"),
        "Protocol of the syslog server: `udp` or `tcp`",
    )
    webhook_url: str = _setting(
        "LOKI_WEBHOOK_URL",
        "",
        parsers.webhook,
        "Where messages about alerts, verdicts and the end of the session are sent to; "
        "Slack and the like show them",
        is_secret=True,
    )
    webhook_secret: str = _setting(
        "LOKI_WEBHOOK_SECRET",
        "",
        parsers.text,
        "Key that signs these messages (HMAC-SHA-256)",
        is_secret=True,
    )
    webhook_events: tuple[str, ...] = _setting(
        "LOKI_WEBHOOK_EVENTS",
        ",".join(parsers.WEBHOOK_EVENTS),
        parsers.some_of(*parsers.WEBHOOK_EVENTS),
        "Which messages are sent, comma-separated",
    )
    metrics_public: bool = _setting(
        "LOKI_METRICS_PUBLIC", "false", parsers.boolean, "Serve `/metrics` without a token"
    )
    budget_limit: float | None = _setting(
        "LOKI_BUDGET_LIMIT", "", parsers.amount, "Budget in USD if `budget.json` has none"
    )
    max_iterations: int = _setting(
        "LOKI_MAX_ITERATIONS", "1000", parsers.whole(0, 10**9), "Shown as `loki_iteration_max`"
    )
    context_window_size: int = _setting(
        "LOKI_CONTEXT_WINDOW_SIZE",
        "0",
        parsers.whole(0, 10**9),
        "Context window in tokens; 0 for the provider's default",
    )
    watchdog: bool = _setting(
        "LOKI_WATCHDOG",
        "false",
        parsers.boolean,
        "Shown as `watchdog_enabled`; only the runner acts on it",
    )
    skill_dir: Path | None = _setting(
        "LOKI_SKILL_DIR", "", parsers.path, "Installation folder of Loki Mode, to show its version"
    )
    home: Path = field(default_factory=Path.home)
    secret_names: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    has_sockets: bool = False

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Read and check all settings.

        :param environ: the variables; the process's own when left out.
        :raises SettingsError: with one sentence that names the variable.
        """
        settings = cls.read(environ)
        settings._check()
        return settings

    @classmethod
    def read(cls, environ: Mapping[str, str] | None = None) -> "Settings":
        """Read all settings without a look at the files and addresses that they name.

        :param environ: as `from_env`; raises as it, for a value that cannot be parsed.
        """
        env = os.environ if environ is None else environ
        warnings: list[str] = []
        values = {
            item.name: parsers.parse_setting(item.metadata, env, warnings.append)
            for item in fields(cls)
            if item.metadata
        }
        home = Path(env.get("HOME") or "/").absolute()
        secrets = tuple(name for name in SECRET_NAMES if env.get(name))
        return cls(
            **values,
            home=home,
            secret_names=secrets,
            warnings=tuple(warnings),
            has_sockets="LISTEN_FDS" in env or "GUNICORN_FD" in env,
        )

    @classmethod
    def of_accounts(cls) -> "Settings":
        """Read only the settings of tokens and the audit log; ignore all other variables.

        :raises SettingsError: as `from_env`.
        """
        variables = {
            name: text for name, text in os.environ.items() if name.startswith(_OF_ACCOUNTS)
        }
        home = os.environ.get("HOME") or "/"
        return cls.from_env({**variables, "HOME": home, "LOKI_DIR": os.path.join(home, ".loki")})

    @property
    def oidc_enabled(self) -> bool:
        """Return whether users of the OIDC issuer can log in."""
        return bool(self.oidc_issuer and self.oidc_client_id)

    @property
    def auth_required(self) -> bool:
        """Return whether every call needs a token."""
        return self.enterprise_auth or self.oidc_enabled

    @property
    def may_be_open(self) -> bool:
        """Return whether the server may listen on addresses that are not loopback."""
        return self.auth_required or self.allow_anonymous

    @property
    def audit_recorded(self) -> bool:
        """Return whether changes and refusals are written to the audit log."""
        return self.enterprise_audit or not self.audit_disabled

    @property
    def audit_key(self) -> Path:
        """Return the path of the key that signs the audit log."""
        return self.audit_key_file or self.home / ".config" / "loki-web" / "audit.key"

    @property
    def is_loopback(self) -> bool:
        """Return whether the server listens on a loopback address."""
        return parsers.is_loopback(self.host)

    @property
    def authority(self) -> str:
        """Return `host:port`, with brackets around an IPv6 address."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """Return the URL of the server for a browser on this machine."""
        scheme = "https" if self.tls_cert else "http"
        return f"{scheme}://{self.authority}"

    def check_free(self, host: str, port: int, setting: str = "LOKI_DASHBOARD_PORT") -> None:
        """Check that the server can listen there, unless it inherits its sockets.

        Sockets are inherited from systemd, or from the old server at an upgrade.

        :param setting: the variable or option that sets the port, for the error.
        :raises SettingsError: when another process listens there, or the address is not ours.
        """
        if not self.has_sockets:
            check_free(host, port, setting)

    def check_socket(self, address: str | int) -> None:
        """Check that the server can listen on a unix socket, unless it inherits its sockets.

        :param address: its path, or the number of an open descriptor.
        :raises SettingsError: when the server cannot listen on it.
        """
        if not self.has_sockets:
            check_socket(address)

    def in_force(self) -> list[str]:
        """Return each setting as `NAME=value`, for display."""
        settings = [item for item in fields(self) if item.metadata]
        values = [
            "***"
            if item.metadata["is_secret"] and getattr(self, item.name)
            else parsers.hide_password(parsers.format_setting(getattr(self, item.name)))
            for item in settings
        ]
        return [
            f"{item.metadata['name']}={value}" for item, value in zip(settings, values, strict=True)
        ]

    def _check(self) -> None:
        check_exposure(self.host, may_be_open=self.may_be_open)
        check_oidc(skips_verification=self.oidc_skip_signature_verify)
        check_audit(is_required=self.audit_required, is_recorded=self.audit_recorded)
        check_redis(self.redis_url, is_edge=self.is_edge)
        check_tls(self.tls_cert, self.tls_key)
        check_loki_dir(self.loki_dir)
        check_audit_key(self.audit_key, self.loki_dir, self.home / ".loki")


@functools.cache
def get_process_settings() -> Settings:
    """Return the settings of the environment, read and checked once per process.

    The gunicorn master calls this before it forks. A worker that replaces a crashed one therefore
    starts with the same settings, even if a file that they name has disappeared since.

    :raises SettingsError: as `Settings.from_env`.
    """
    return Settings.from_env()


def wants_traces() -> bool:
    """Return whether the variables of OpenTelemetry say where spans are sent to."""
    exporter = os.environ.get("OTEL_TRACES_EXPORTER", "")
    endpoints = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
    is_off = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or exporter == "none"
    return not is_off and bool(exporter == "otlp" or any(map(os.environ.get, endpoints)))


def environment(chosen: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment of this process, overridden by command-line options.

    :param chosen: values by field name of `Settings`; None for an option that was not given.
    """
    names = {item.name: item.metadata["name"] for item in fields(Settings) if item.metadata}
    overrides = {
        names[key]: parsers.format_setting(value)
        for key, value in chosen.items()
        if value is not None
    }
    return {**os.environ, **overrides}
