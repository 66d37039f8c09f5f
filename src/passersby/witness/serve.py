"""The witness on HTTP: `POST .../add-checkpoint`, and nothing else.

It speaks plain HTTP, for a reverse proxy that ends TLS. Requests have a largest size and an end; that many at
once are answered and others turned away.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

import uvicorn

from passersby.errors import OperationError, UsageError
from passersby.trustlog.request import LONGEST, PATH
from passersby.witness.witness import Reply, Witness

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

_AT_ONCE = 64
_BODY_S = 10.0
_IDLE_S = 10


class Application:
    """The witness as an ASGI application.

    Args:
        witness: what decides.
        clock: returns the present, epoch s.
    """

    def __init__(self, witness: Witness, clock: Callable[[], float] = time.time) -> None:
        self._witness = witness
        self._clock = clock

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        reply = await self._reply(scope, receive)
        headers = [
            (b"content-type", reply.content_type.encode()),
            (b"content-length", b"%d" % len(reply.body)),
        ]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})

    async def _reply(self, scope: Message, receive: Receive) -> Reply:
        if not scope["path"].endswith(f"/{PATH}"):
            return Reply(404, b"There is nothing here but add-checkpoint.\n")
        if scope["method"] != "POST":
            return Reply(405, b"add-checkpoint takes POST.\n")
        try:
            async with asyncio.timeout(_BODY_S):
                body = await _body(receive)
        except TimeoutError:
            return Reply(408, b"The request did not come to an end.\n")
        if body is None:
            return Reply(413, b"The request is too long.\n")
        try:
            return await asyncio.to_thread(self._witness.add_checkpoint, body, now=int(self._clock()))
        except OperationError:
            return Reply(500, b"The witness cannot remember: nothing was signed.\n")


async def _body(receive: Receive) -> bytes | None:
    """Return the body of a request; None once it is too long."""
    found = bytearray()
    while len(found) <= LONGEST:
        message = await receive()
        found += message.get("body", b"")
        if not message.get("more_body", False):
            break
    return bytes(found) if len(found) <= LONGEST else None


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        UsageError: the address cannot be had.
    """
    try:
        return socket.create_server((host, port))
    except OSError as error:
        reason = error.strerror or "unknown reason"
        raise UsageError(
            f"{host} port {port} cannot be listened on: {reason}.", "Choose another --host or --port."
        ) from None


def server_of(witness: Witness) -> uvicorn.Server:
    """Return the server of a witness, not yet running."""
    return uvicorn.Server(
        uvicorn.Config(
            Application(witness),
            lifespan="off",
            ws="none",
            access_log=False,
            log_level="warning",
            server_header=False,
            limit_concurrency=_AT_ONCE,
            timeout_keep_alive=_IDLE_S,
        )
    )


def serve(witness: Witness, listening: socket.socket) -> None:
    """Answer requests until the process is told to stop."""
    with listening, contextlib.suppress(KeyboardInterrupt):
        server_of(witness).run(sockets=[listening])
