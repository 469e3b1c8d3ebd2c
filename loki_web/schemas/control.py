from loki_web.schemas.base import OptionalBody, Success


class ControlBody(OptionalBody):
    """An empty object or no body."""


class Paused(Success):
    EXAMPLE = {"success": True, "message": "Session paused"}


class Resumed(Success):
    EXAMPLE = {"success": True, "message": "Session resumed"}


class Stopped(Success):
    EXAMPLE = {"success": True, "message": "Stop signal sent"}
