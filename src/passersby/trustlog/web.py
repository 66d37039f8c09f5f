"""HTTP for the log: bounded answers of servers that are not trusted, and no redirects.

`urllib3` checks certificates against those of the operating system. A proxy of the environment is not used.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import urllib3
from urllib3 import BaseHTTPResponse
from urllib3.exceptions import HTTPError, LocationParseError
from urllib3.util import Timeout, parse_url

from passersby.errors import OperationError, UsageError

_CHUNK = 1 << 16
_ANSWER_S = 60.0
"""Most seconds from a request to the end of its answer: a server that trickles bytes is given up."""


@dataclass(frozen=True)
class Answer:
    """What a server said: status, content type, and the body as far as it was asked for."""

    status: int
    content_type: str
    body: bytes


class Site:
    """One address and what lies below it. Connections are kept for the next request.

    Args:
        url: http or https, with or without a slash at its end.
        wait_s: most seconds to wait for a connection, and for the next bytes.

    Raises:
        UsageError: it is no address, or holds a query, a fragment or a password.
    """

    def __init__(self, url: str, *, wait_s: float = 15.0) -> None:
        try:
            parsed = parse_url(url)
        except LocationParseError:
            parsed = None
        if parsed is None or parsed.scheme not in {"http", "https"} or not parsed.host:
            raise UsageError("This is no web address.", "Write it out: https://HOST/PATH.")
        if parsed.query is not None or parsed.fragment is not None or parsed.auth is not None:
            raise UsageError(
                "The web address holds more than a host and a path.", "Leave out ?, # and passwords."
            )
        self.url = url.rstrip("/")
        self._pool = urllib3.PoolManager(maxsize=8, retries=False, timeout=Timeout(wait_s))

    def get(self, path: str, most: int) -> Answer:
        """Return what the server has at `path`, at most `most` bytes of it.

        Raises:
            OperationError: the server cannot be reached, or does not come to an end.
        """
        return self._ask("GET", path, b"", most)

    def post(self, path: str, body: bytes, most: int) -> Answer:
        """Send `body` to `path` and return the answer, at most `most` bytes of it.

        Raises:
            OperationError: see `get`.
        """
        return self._ask("POST", path, body, most)

    def _ask(self, method: str, path: str, body: bytes, most: int) -> Answer:
        deadline = time.monotonic() + _ANSWER_S
        try:
            reply = self._pool.request(
                method,
                f"{self.url}/{path}",
                body=body or None,
                headers={"Accept-Encoding": "identity", "User-Agent": "passersby"},
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
            found = self._body(reply, most, deadline)
        except (HTTPError, OSError):
            raise OperationError(
                f"{self.url} cannot be reached, or broke off.",
                "Check the address and the network, then try again.",
            ) from None
        return Answer(reply.status, reply.headers.get("Content-Type", ""), found)

    def _body(self, reply: BaseHTTPResponse, most: int, deadline: float) -> bytes:
        found = bytearray()
        try:
            while len(found) < most and (chunk := reply.read1(min(_CHUNK, most - len(found)))):
                found += chunk
                if time.monotonic() > deadline:
                    raise OperationError(
                        f"{self.url} answers too slowly.", "Try again later, or ask another copy."
                    )
        finally:
            reply.close()  # a connection whose answer was read to its end is in the pool again already
        return bytes(found)
