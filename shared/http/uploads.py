"""A file that comes in: bounded in bytes, kept on disk and never whole in memory, and read as often as its transaction is tried.

It is here as a whole before a transaction is opened, so that a slow sender holds no connection.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from tempfile import TemporaryFile

from fastapi import Request
from starlette.types import Message, Receive

from shared.errors import TooLarge

PIECE_BYTES = 256 * 1024


class UploadTooLarge(TooLarge):
    title = "The file is too large"


async def received(request: Request, most_bytes: int) -> AsyncIterator[bytes]:
    """The body of an upload, in pieces; raises UploadTooLarge when it passes `most_bytes`."""
    taken = 0
    async for piece in request.stream():
        taken += len(piece)
        if taken > most_bytes:
            raise UploadTooLarge("The file has more than {most_bytes} bytes.", most_bytes=most_bytes)
        yield piece


@asynccontextmanager
async def kept(request: Request, most_bytes: int) -> AsyncIterator[tuple[bytes, Callable[[], Request]]]:
    """The SHA-256 of the file that comes in, and what makes a request that reads it from its beginning."""
    digest = hashlib.sha256()
    with TemporaryFile(prefix="jicai-upload-") as file:
        async for piece in received(request, most_bytes):
            digest.update(piece)
            await asyncio.to_thread(file.write, piece)
        size = file.tell()

        def reading() -> Receive:
            left = size
            file.seek(0)

            async def receive() -> Message:
                nonlocal left
                piece = await asyncio.to_thread(file.read, PIECE_BYTES)
                left -= len(piece)
                return {"type": "http.request", "body": piece, "more_body": left > 0}

            return receive

        yield digest.digest(), lambda: Request(request.scope, reading())
