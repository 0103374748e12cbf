"""Everything on one machine: the embedded broker, the sandbox, rooms, web service and projector, one process each.

`<data_dir>/run/up.json` says what runs: `pid` and `created` of the supervisor, `started` (RFC 3339), `broker`
(host:port), `web_url` and `inbox_url` (null without one); and under `processes` by name: pid, created, restarts, log.
"""

import asyncio
import json
import random
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import Self

import psutil

from pipeline import clock
from pipeline.audit.checkpoint import witness_key_path
from pipeline.audit.keys import public_key_path
from pipeline.broker import connect, runfile, topics
from pipeline.broker.embedded import CAVEAT, EmbeddedBroker
from pipeline.broker.keeping import cancelled, keep, while_it_runs
from pipeline.broker.locks import held
from pipeline.broker.process import PORTS, is_free
from pipeline.broker.putback import put_back, said
from pipeline.errors import ConfigurationError, TocsinError
from pipeline.policy.publish import publish_or_keep
from pipeline.private_keys import PrivateKeys, handed_to, keys_of
from pipeline.processes import Say, Supervised, last_line
from pipeline.settings import Settings, worker_name
from schemas.base import rfc3339

ROOMS = ("decide", "deliver", "record")
READY_TIMEOUT_S = 90.0
RESTARTS_BEFORE_READY = 2
"""A process that ends that often while it is awaited will not come up by itself."""
POLL_S = 0.05
STAY = {"sandbox", "witness"}
"""What the rooms need until their end."""


class Supervisor:
    """Starts all that Tocsin needs, keeps it running, and stops it in order: rooms, sandbox, broker.

    `settings` are the effective ones once started: with the sandbox's addresses and keys, and the web service's port.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        sandbox: bool = False,
        web: bool = True,
        witness: bool = False,
        projection: bool = False,
        rooms: tuple[str, ...] = ROOMS,
        say: Say = lambda _line: None,
    ) -> None:
        self.settings = settings
        self.broker = EmbeddedBroker(settings.data_dir) if settings.broker is None else None
        self.processes: dict[str, Supervised] = {}
        self.inbox_url: str | None = None
        self.up_file = settings.data_dir / "run" / "up.json"
        self._with_sandbox, self._with_web, self._rooms, self._say = sandbox, web, rooms, say
        self._with_witness, self._with_projection = witness, projection
        self._keys = PrivateKeys()
        self._open = AsyncExitStack()
        self._started = clock.now()

    @property
    def web_url(self) -> str | None:
        """Where the web service listens on this machine; None without one."""
        return f"http://{self.settings.web_host}:{self.settings.web_port}" if self._with_web else None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Starts broker, topics, policy, sandbox, rooms, web service, projector; `ready` awaits the last ones.

        Raises BrokerError (AlreadyRunning, TopicMismatch …), PolicyError, ConfigurationError; then nothing is left
        running.
        """
        if self.broker is not None and self.settings.deliver_workers > 1:
            raise ConfigurationError(
                "TOCSIN_DELIVER_WORKERS: the embedded broker serves one worker per room; set TOCSIN_BROKER to a Kafka"
            )
        self._keys = keys_of("up")
        try:
            self._open.enter_context(held(runfile.run_dir(self.settings.data_dir) / "up.lock", self._refusal))
            await self._sweep()
            self._open.callback(self.up_file.unlink, missing_ok=True)
            await self._start_broker()
            await (self._prepare() if self.broker is None else while_it_runs(self.broker, self._prepare()))
            if self._with_sandbox:
                await self._start_sandbox()
            if self._with_witness:
                await self._start_witness()
            if self._with_web:
                self.settings = with_web_port(self.settings)
            # The rooms stop together, and before anything that they need.
            self._open.push_async_callback(self._stop_rooms)
            for room in self._rooms:
                await self._start_room(room)
            if self._with_web:
                await self._start("web", ["-m", "pipeline.cli", "web"], _ready_file(self.settings, "web"))
            if self._with_projection:
                command = ["-m", "pipeline.cli", "projector"]
                await self._start("projector", command, _ready_file(self.settings, "projector"))
            self._keep_watch()
        except BaseException:
            await self.stop()
            raise

    async def ready(self, timeout_s: float = READY_TIMEOUT_S) -> None:
        """Returns once every process has said that it can work.

        Raises TocsinError with the last words of one that cannot.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.gather(*(self._ready(process) for process in self.processes.values()))
        except TimeoutError:
            late = [process for process in self.processes.values() if not process.is_ready]
            words = "; ".join(f"{process.name}: {last_line(process.log_file)}" for process in late)
            raise TocsinError(f"not ready after {timeout_s:g} s: {words}") from None

    async def _ready(self, process: Supervised) -> None:
        before = process.restarts
        while not process.is_ready:
            if process.restarts - before >= RESTARTS_BEFORE_READY:
                raise TocsinError(f"{process.name} does not start: {last_line(process.log_file)} [{process.log_file}]")
            await asyncio.sleep(POLL_S)

    async def stop(self) -> None:
        """Stops the rooms, the web service and the projector, then the sandbox, then the broker; each is waited for."""
        await self._open.aclose()

    async def _start_room(self, room: str) -> None:
        """Its workers: one, but for deliver, of whose interpreters each has a core to fill."""
        for number in range(1, 1 + (self.settings.deliver_workers if room == "deliver" else 1)):
            name, settings = worker_name(room, number), self.settings.model_copy(update={"worker_number": number})
            await self._start(name, ["-m", "agents", room], _ready_file(settings, name), settings)

    async def _start_broker(self) -> None:
        if self.broker is None:
            return
        await self.broker.start()
        self._open.push_async_callback(self.broker.stop)
        self._say(f"embedded broker on {self.broker.bootstrap}: {CAVEAT}")

    async def _restore(self) -> None:
        """All topics, with all that this machine wrote to them, before anybody reads on."""
        await topics.ensure(self.settings)
        if self.broker is None:
            return
        if lost := await put_back(self.settings):
            self._say(said(lost))
        self.broker.owes = False

    async def _prepare(self) -> None:
        """The topics, and the policy in force."""
        await self._restore()
        if (said := await publish_or_keep(self.settings)) is not None:
            self._say(said)

    def _keep_watch(self) -> None:
        if self.broker is not None:
            rooms = [process for name, process in self.processes.items() if name in self._rooms]
            keeping = keep(self.broker, restore=self._restore, rooms=rooms, say=self._say)
            self._open.push_async_callback(cancelled, asyncio.create_task(keeping, name="keep the broker"))

    async def _start_sandbox(self) -> None:
        run_file = self.settings.data_dir / "run" / "sandbox.json"

        def is_ready(pid: int) -> bool:
            return (runfile.read(run_file) or {}).get("pid") == pid

        kept = ["--dir", str(self.settings.data_dir / "sandbox")]
        command = ["-m", "pipeline.cli", "sandbox", *kept]
        sandbox = await self._start("sandbox", command, is_ready)
        self._open.push_async_callback(sandbox.stop)
        async with asyncio.timeout(READY_TIMEOUT_S):
            await self._ready(sandbox)
        said = runfile.read(run_file) or {}
        ports = {"--smtp-port": said["smtp_port"], "--http-port": said["http_port"]}
        # After a restart it must be found where the rooms were told that it is.
        sandbox.command = [*command, *(str(word) for pair in ports.items() for word in pair)]
        self.inbox_url = said["inbox_url"]
        self.settings = overridden(self.settings, said["env"])

    async def _start_witness(self) -> None:
        """Its key must be there before the record room is."""
        data_dir = self.settings.data_dir
        port = next(candidate for candidate in random.sample(PORTS, 50) if is_free(candidate))
        told = ["--dir", str(data_dir / "witness"), "--log", str(public_key_path(data_dir)), "--port", str(port)]
        command = ["-m", "pipeline.cli", "audit", "witness", *told]
        witness = await self._start("witness", command, _ready_file(self.settings, "witness"))
        self._open.push_async_callback(witness.stop)
        async with asyncio.timeout(READY_TIMEOUT_S):
            await self._ready(witness)
        key = witness_key_path(data_dir)
        key.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        key.write_bytes((data_dir / "witness" / "witness.pub").read_bytes())
        self.settings = overridden(self.settings, {"TOCSIN_WITNESS_URL": f"http://127.0.0.1:{port}"})

    async def _start(
        self, name: str, command: list[str], is_ready: Callable[[int], bool], settings: Settings | None = None
    ) -> Supervised:
        process = Supervised(
            name,
            command,
            settings or self.settings,
            own=handed_to(name, self._keys),
            is_ready=is_ready,
            say=self._say,
            changed=self._write_up_file,
        )
        self.processes[name] = process
        await process.start()
        return process

    async def _stop_rooms(self) -> None:
        await asyncio.gather(*(process.stop() for name, process in self.processes.items() if name not in STAY))

    def _write_up_file(self) -> None:
        runfile.write_own(
            self.up_file,
            started=rfc3339(self._started),
            broker=connect.bootstrap(self.settings),
            web_url=self.web_url,
            inbox_url=self.inbox_url,
            processes={name: process.describe() for name, process in self.processes.items()},
        )

    def _refusal(self, holder: int | None) -> str:
        return f"`tocsin up` already runs on {self.settings.data_dir} (pid {holder or 'unknown'})"

    async def _sweep(self) -> None:
        """Ends what a supervisor that was killed has left: what its run file names and still is the same process."""
        left = runfile.read(self.up_file) or {}
        found = {name: runfile.process_of(told) for name, told in left.get("processes", {}).items()}
        orphans = {name: process for name, process in found.items() if process is not None}
        if not orphans:
            return
        self._say(f"an earlier supervisor was killed; its processes are stopped first: {', '.join(orphans)}")
        for process in orphans.values():
            process.terminate()
        _, alive = await asyncio.to_thread(psutil.wait_procs, list(orphans.values()), 30)
        for process in alive:
            process.kill()


def _ready_file(settings: Settings, name: str) -> Callable[[int], bool]:
    path = settings.data_dir / "run" / f"{name}.ready"

    def is_ready(pid: int) -> bool:
        try:
            content = json.loads(path.read_text())
        except (OSError, ValueError):
            return False
        return (content.get("pid") if isinstance(content, dict) else content) == pid  # a run file, or the bare pid

    return is_ready


def overridden(settings: Settings, environment: Mapping[str, str]) -> Settings:
    """`settings` with what `TOCSIN_…` variables say, validated. Raises pydantic's ValidationError."""
    said = {name.removeprefix("TOCSIN_").lower(): value for name, value in environment.items()}
    return Settings(_env_file=None, **{**dict(settings), **said})


def with_web_port(settings: Settings) -> Settings:
    """A port for the web service, and a public URL that leads to it unless another was set.

    Raises ConfigurationError when the port that was asked for is taken.
    """
    port = settings.web_port
    if port == 0:
        port = next(candidate for candidate in random.sample(PORTS, 50) if is_free(candidate))
    elif not is_free(port):
        raise ConfigurationError(f"port {port} is taken: set TOCSIN_WEB_PORT to another, or to 0 for a free one")
    url = settings.public_url
    if url == Settings.model_fields["public_url"].default:
        url = f"http://127.0.0.1:{port}"
    return settings.model_copy(update={"web_port": port, "public_url": url})
