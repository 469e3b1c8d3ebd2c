"""Sign-in of a browser: one session cookie for all of its tabs, instead of a token in each."""

from loki_web.auth import sign_ins
from loki_web.auth.sign_ins import SignedInDict, SignInDict
from loki_web.schemas import sign_in as shapes
from loki_web.web import access, session_cookie
from loki_web.web.blueprint import Blueprint
from loki_web.web.context import writable_account_sources

blueprint = Blueprint("sign_in", __name__, is_of_project=False)


@blueprint.post(access.SESSION)
@blueprint.answers(201, shapes.SignIn)
@blueprint.errors({409: "Authentication is off"})
def post_session() -> SignInDict:
    """Sign in with a token, which is sent as for every other call.

    The response sets a session cookie, which replaces the token for `LOKI_SIGN_IN_HOURS`. Changes
    also need the header `X-CSRF-Token`.
    """
    sources, holder = writable_account_sources(), access.get_identity()
    created = sign_ins.begin(sources, holder, replaced=session_cookie.read_current())
    session_cookie.set_cookie(created.cookie, created.expires_at)
    return {**sign_ins.format_holder(holder, created.expires_at), "csrf_token": created.csrf_token}


@blueprint.get_anew(access.SESSION)
@blueprint.answers(200, shapes.SignedIn)
def get_session() -> SignedInDict:
    """Get who the caller is, and until when."""
    holder = access.get_identity()
    return sign_ins.format_holder(holder, holder.expires_at)


@blueprint.delete(access.SESSION)
@blueprint.answers(204)
def delete_session() -> None:
    """Sign out: the cookie opens nothing any more, and its live connections end."""
    sign_ins.end(writable_account_sources(), access.get_identity().sign_in)
    session_cookie.clear_cookie()
