"""The same feed on uvicorn and websockets, one task a connection, to compare with.

`uvicorn benchmarks.peer:app`: `/ws` tells every change of the tasks, `/health` answers.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

from watchfiles import awatch

from loki_web.config.settings import Settings
from loki_web.live.feed import state
from loki_web.live.feed.state import ListSlice
from loki_web.services import tasks
from loki_web.services.context import open_sources

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

sources = open_sources(Settings.from_env(), time.time())
clients: set[Send] = set()


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await _live(receive, send)
    elif scope["type"] == "websocket":
        await _serve(receive, send)
    else:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        body = json.dumps(tasks.list_tasks(sources) if scope["path"] == "/api/tasks" else {})
        await send({"type": "http.response.body", "body": body.encode()})


async def _live(receive: Receive, send: Send) -> None:
    await receive()
    watching = asyncio.create_task(_watch())
    await send({"type": "lifespan.startup.complete"})
    await receive()
    watching.cancel()
    await send({"type": "lifespan.shutdown.complete"})


async def _serve(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": '{"type":"connected"}'})
    clients.add(send)
    while (await receive())["type"] != "websocket.disconnect":
        pass
    clients.discard(send)


async def _watch() -> None:
    listed = ListSlice("tasks", state.TASKS, lambda: tasks.list_tasks(sources))
    listed.refresh()
    async for _ in awatch(sources.project.path / "queue", recursive=False, step=25, debounce=50):
        for message in listed.refresh():
            text = message.text.decode()
            for send in list(clients):
                await send({"type": "websocket.send", "text": text})
