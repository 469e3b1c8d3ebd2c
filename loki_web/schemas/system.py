"""Schemas of processes, secrets and authentication methods."""

from marshmallow import fields

from loki_web.schemas.base import Answer, optional


class Process(Answer):
    pid = fields.Integer(allow_none=True)
    alive = fields.Boolean()
    liveness = optional(fields.String())


class AgentProcess(Answer):
    pid = fields.Integer()
    status = fields.String()
    id = optional(fields.String())
    state = optional(fields.String(metadata={"description": "`alive` or `dead`"}))
    liveness = optional(fields.String())
    heartbeat_age_seconds = optional(fields.Float(allow_none=True))


class Life(Answer):
    """Whether the session is alive."""

    status = fields.String()
    alive = fields.Boolean()
    liveness = optional(fields.String())
    stale = optional(fields.Boolean())


class Helper(Answer):
    """A helper process that the runner registered."""

    pid = fields.Integer()
    label = fields.String()
    started = fields.String(allow_none=True)
    parent_pid = fields.Integer(allow_none=True)
    extra = fields.String()
    alive = fields.Boolean()
    liveness = optional(fields.String())


class Processes(Answer):
    EXAMPLE = {
        "main_process": {"pid": 12345, "alive": True},
        "dashboard": {"pid": 12346, "alive": True},
        "agents": [{"pid": 12347, "status": "running"}],
    }

    main_process = fields.Nested(Process)
    dashboard = fields.Nested(Process)
    agents = fields.List(fields.Nested(AgentProcess))
    session = optional(fields.Nested(Life))
    registered_processes = optional(fields.List(fields.Nested(Helper)))
    watchdog_enabled = optional(fields.Boolean())
    checked_at = optional(fields.String())


class Secrets(Answer):
    EXAMPLE = {
        "docker_secrets": False,
        "k8s_secrets": False,
        "env_secrets": ["ANTHROPIC_API_KEY"],
    }

    docker_secrets = fields.Boolean()
    k8s_secrets = fields.Boolean()
    env_secrets = fields.List(fields.String())


class AuthInfo(Answer):
    EXAMPLE = {
        "enterprise_auth": True,
        "oidc_enabled": False,
        "oidc_issuer": None,
        "auth_methods": ["token"],
    }

    enterprise_auth = fields.Boolean()
    oidc_enabled = fields.Boolean()
    oidc_issuer = fields.String(allow_none=True)
    auth_methods = fields.List(fields.String())
