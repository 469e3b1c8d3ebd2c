"""Access tokens (scope `admin`) and the audit log (scope `audit`)."""

from loki_web.audit import query as audit_query
from loki_web.audit.query import EntryDict, SummaryDict
from loki_web.auth import tokens
from loki_web.auth.tokens import CreatedTokenDict, TokenDict
from loki_web.schemas import enterprise as shapes
from loki_web.services import system
from loki_web.services.system import EnterpriseStatusDict
from loki_web.store.coerce import Json
from loki_web.web import access
from loki_web.web.blueprint import Blueprint
from loki_web.web.context import server_sources, writable_server_sources

blueprint = Blueprint("enterprise", __name__, is_of_project=False)

_TOKENS_OFF = "LOKI_ENTERPRISE_AUTH is off, or the token lacks the scope `admin`"
_AUDIT_OFF = "LOKI_ENTERPRISE_AUDIT is off, or the token lacks the scope `audit`"


@blueprint.get("/api/enterprise/status", is_confidential=True)
@blueprint.answers(200, shapes.EnterpriseStatus)
def get_enterprise_status() -> EnterpriseStatusDict:
    """Check which enterprise features are enabled."""
    return system.get_enterprise_status(server_sources())


@blueprint.post("/api/enterprise/tokens")
@blueprint.body(shapes.NewToken)
@blueprint.answers(201, shapes.CreatedToken)
@blueprint.errors({403: _TOKENS_OFF})
def post_token(body: Json) -> CreatedTokenDict:
    """Generate a new API token (requires `LOKI_ENTERPRISE_AUTH=true`).

    You cannot grant scopes that you do not have. Create the first token on the command line.
    """
    system.require_token_auth(server_sources())
    return tokens.create(writable_server_sources(), **body, granted_by=access.get_identity().scopes)


@blueprint.get("/api/enterprise/tokens", is_confidential=True)
@blueprint.query(shapes.TokensQuery)
@blueprint.answers(200, shapes.Token, many=True)
@blueprint.errors({403: _TOKENS_OFF})
def get_tokens(query: Json) -> list[TokenDict]:
    """List all API tokens."""
    system.require_token_auth(server_sources())
    return tokens.list_tokens(server_sources(), include_revoked=query["include_revoked"])


@blueprint.delete("/api/enterprise/tokens/<name:identifier>")
@blueprint.query(shapes.RemovalQuery)
@blueprint.answers(204)
@blueprint.errors({403: _TOKENS_OFF, 404: "Token not found"})
def delete_token(query: Json, identifier: str) -> None:
    """Revoke or delete a token by its id or name."""
    system.require_token_auth(server_sources())
    end = tokens.delete if query["permanent"] else tokens.revoke
    end(writable_server_sources(), identifier)


@blueprint.get("/api/enterprise/audit", is_confidential=True)
@blueprint.query(shapes.AuditQuery)
@blueprint.answers(200, shapes.AuditEntry, many=True)
@blueprint.errors({403: _AUDIT_OFF})
def get_audit(query: Json) -> list[EntryDict]:
    """Query audit logs (requires `LOKI_ENTERPRISE_AUDIT=true`)."""
    return audit_query.list_entries(server_sources(), **query)


@blueprint.get("/api/enterprise/audit/summary", is_confidential=True)
@blueprint.query(shapes.SummaryQuery)
@blueprint.answers(200, shapes.AuditSummary)
@blueprint.errors({403: _AUDIT_OFF})
def get_audit_summary(query: Json) -> SummaryDict:
    """Get audit activity summary."""
    return audit_query.summarize(server_sources(), query["days"])
