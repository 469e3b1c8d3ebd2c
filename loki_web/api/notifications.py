"""Notifications and the triggers that create them."""

from loki_web.schemas import notifications as shapes
from loki_web.schemas.base import OptionalBody
from loki_web.services.notifications import notifications, triggers
from loki_web.services.notifications.notifications import (
    AcknowledgedDict,
    AcknowledgedManyDict,
    NotificationDict,
)
from loki_web.services.notifications.triggers import TriggersDict
from loki_web.services.types import SuccessDict
from loki_web.store.coerce import Json
from loki_web.web.blueprint import Blueprint
from loki_web.web.context import sources, writable_sources

blueprint = Blueprint("notifications", __name__)


@blueprint.get("/api/notifications")
@blueprint.query(shapes.NotificationsQuery)
@blueprint.answers(200, shapes.Notification, many=True)
def get_notifications(query: Json) -> list[NotificationDict]:
    """List all notifications, newest first."""
    return notifications.list_notifications(sources(), **query)


@blueprint.get("/api/notifications/triggers")
@blueprint.answers(200, shapes.Triggers)
def get_triggers() -> TriggersDict:
    """Get configured notification triggers."""
    return triggers.list_triggers(sources())


@blueprint.put("/api/notifications/triggers")
@blueprint.body(shapes.TriggersBody)
@blueprint.answers(200, shapes.TriggersUpdated)
@blueprint.errors({404: "Trigger not found, and no type given to create one"})
def put_triggers(body: Json) -> SuccessDict:
    """Update notification triggers; fields that are left out keep their values.

    A trigger is identified by its id or, if no id matches, by its type. A new one needs a type.
    """
    return triggers.update_triggers(writable_sources(), body["triggers"])


@blueprint.post("/api/notifications/acknowledge")
@blueprint.body(shapes.AcknowledgeManyBody)
@blueprint.answers(200, shapes.AcknowledgedMany)
def acknowledge_many(body: Json) -> AcknowledgedManyDict:
    """Acknowledge many notifications at once, or take that back.

    To undo a call, send the ids in `changed` with `acknowledged: false`.
    """
    return notifications.acknowledge_notifications(
        writable_sources(),
        ids=body.get("ids"),
        every=body["all"],
        acknowledged=body["acknowledged"],
    )


@blueprint.post("/api/notifications/<id>/acknowledge")
@blueprint.body(OptionalBody)
@blueprint.answers(200, shapes.Acknowledged)
@blueprint.errors({404: "Notification not found"})
def acknowledge(_: Json, id: str) -> AcknowledgedDict:  # noqa: A002  # the name in the API reference
    """Acknowledge a specific notification."""
    return notifications.acknowledge_notification(writable_sources(), id)
