from loki_web.schemas.base import Success


class Paused(Success):
    EXAMPLE = {"success": True, "message": "Session paused"}


class Resumed(Success):
    EXAMPLE = {"success": True, "message": "Session resumed"}


class Stopped(Success):
    EXAMPLE = {"success": True, "message": "Stop signal sent"}
