"""A TCP relay that holds back what the server says: `python -m pipeline.bench.delay PORT TARGET MILLISECONDS`."""

import asyncio
import sys


class _Side(asyncio.Protocol):
    """One end of a connection; what arrives goes out at the other, `delay_s` later."""

    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s
        self._early: list[bytes] = []
        self.other: asyncio.Transport | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what asyncio gives a TCP connection
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        if self._delay_s:
            asyncio.get_running_loop().call_later(self._delay_s, self._pass_on, data)
        else:
            self._pass_on(data)

    def _pass_on(self, data: bytes) -> None:
        if self.other is None:
            self._early.append(data)
        elif not self.other.is_closing():
            self.other.write(data)

    def connect(self, other: "_Side") -> None:
        """From now on this one's input has somewhere to go."""
        self.other = other.transport
        for data in self._early:
            self._pass_on(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.other is not None:
            asyncio.get_running_loop().call_later(self._delay_s, self.other.close)


class _Client(_Side):
    """The end towards the client, which opens the other one."""

    def __init__(self, target: int, delay_s: float) -> None:
        super().__init__(0.0)
        self._target, self._reply_delay_s = target, delay_s
        self._opening: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._opening = asyncio.get_running_loop().create_task(self._open())

    async def _open(self) -> None:
        server = _Side(self._reply_delay_s)
        await asyncio.get_running_loop().create_connection(lambda: server, "127.0.0.1", self._target)
        server.connect(self)
        self.connect(server)


async def _serve(port: int, target: int, delay_s: float) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: _Client(target, delay_s), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) / 1000))
