"""All resources of the REST API, in the order in which they are described."""

from loki_web.api import control, registry, session, tasks

ALL = (
    session.blueprint,
    control.blueprint,
    tasks.blueprint,
    registry.blueprint,
)
