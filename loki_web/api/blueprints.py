"""All resources of the REST API, in the order in which they are described."""

from loki_web.api import (
    agents,
    budget,
    context_window,
    control,
    cost,
    logs,
    notifications,
    registry,
    session,
    system,
    tasks,
)

ALL = (
    session.blueprint,
    control.blueprint,
    logs.blueprint,
    agents.blueprint,
    tasks.blueprint,
    registry.blueprint,
    cost.blueprint,
    budget.blueprint,
    context_window.blueprint,
    notifications.blueprint,
    system.blueprint,
)
