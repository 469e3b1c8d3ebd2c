"""All resources of the REST API, in the order in which `/docs` shows them."""

from loki_web.api import (
    agents,
    budget,
    checkpoints,
    context_window,
    control,
    cost,
    council,
    enterprise,
    learning,
    logs,
    memory,
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
    memory.blueprint,
    learning.blueprint,
    cost.blueprint,
    budget.blueprint,
    checkpoints.blueprint,
    council.blueprint,
    context_window.blueprint,
    notifications.blueprint,
    enterprise.blueprint,
    system.blueprint,
)
