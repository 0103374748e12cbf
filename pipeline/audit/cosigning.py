"""The log's side of witnessing: shows each checkpoint to the witness and keeps what it cosigned.

It runs beside sealing and never holds it up: a witness that is away is told of later, and `tocsin audit verify` says
how far it has seen. A witness that has seen another history is said loudly: then this log is not the one it saw.
"""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import islice
from pathlib import Path

import aiohttp

from pipeline.audit.checkpoint import cosigned_path, witness_key_path
from pipeline.audit.files import replace_file, writing
from pipeline.audit.seal import Chain
from pipeline.audit.segments import read_lines
from pipeline.audit.tree import CompactRange, consistency_since, leaf_hash
from pipeline.audit.vouching import Distrusted, Head, Key
from pipeline.audit.witness import SIZE_TYPE, request_for
from pipeline.errors import AuditError, ConfigurationError

TIMEOUT_S = 10.0
LAST_S = 2.0
AGAIN_S = 5.0
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")

log = logging.getLogger("tocsin.audit")


class Cosigning:
    """One log before one witness. `follow` and `offer` are called by whoever seals; `at_work` does the rest."""

    def __init__(self, url: str, data_dir: Path) -> None:
        """Raises ConfigurationError when the witness's key is not there."""
        self._url = f"{url.rstrip('/')}/add-checkpoint"
        self._segments = data_dir / "audit" / "segments"
        self._path = cosigned_path(data_dir)
        self._key = _key_in(witness_key_path(data_dir))
        self._seen = self._stored()
        self._before: CompactRange | None = CompactRange() if self._seen == 0 else None
        self._since: list[bytes] = []
        self._note: bytes | None = None
        self._offered, self._shown = asyncio.Event(), asyncio.Event()

    def follow(self, chain: Chain) -> None:
        """Takes note of each state of the log, entry by entry."""
        if chain.size == 0:
            return
        if self._before is not None:
            self._since.append(chain.last)
        elif chain.size == self._seen:
            self._before = chain.tree

    def offer(self, note: bytes) -> None:
        """The newest checkpoint; one that was not shown yet need not be."""
        self._note = note
        self._offered.set()
        self._shown.clear()

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Shows what is offered until the block ends, and then, for a moment, what was offered last."""
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S)) as session:
            showing = asyncio.create_task(self._run(session), name="cosigning")
            try:
                yield
                if self._note is not None:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._shown.wait(), LAST_S)
            finally:
                showing.cancel()
                await asyncio.wait([showing])

    async def _run(self, session: aiohttp.ClientSession) -> None:
        quiet = False
        while True:
            await self._offered.wait()
            self._offered.clear()
            if (note := self._note) is None:
                continue
            try:
                if not await self._show(session, note) and not await self._show(session, note):
                    raise AuditError("it says each time that it goes on from another number of entries")
                if self._note is note:
                    self._note = None
                    self._shown.set()
                quiet = False
            except (aiohttp.ClientError, TimeoutError, AuditError) as error:
                if not quiet:
                    log.error("the witness did not cosign: %s; sealing goes on, and it is asked again", error)
                quiet = True
                await asyncio.sleep(AGAIN_S)
                self._offered.set()

    async def _show(self, session: aiohttp.ClientSession, note: bytes) -> bool:
        """False: it has seen another number of entries than was thought, and is to be asked again."""
        size = Head.parse(note.decode()).size
        if self._before is None or size < self._before.size:
            raise AuditError(f"it has seen {self._seen} entries, and the log has {size}: it was cut, or is another")
        since = self._since[: size - self._before.size]
        proof = consistency_since(self._before, since) if self._before.size else ()
        async with session.post(self._url, data=request_for(self._before.size, proof, note)) as answer:
            said = (await answer.read()).decode("utf-8", "replace")
        if answer.status == 409 and answer.content_type == SIZE_TYPE:
            if not _SIZE.fullmatch(said.strip()):
                raise AuditError(f"it answers that it has seen {said.strip()[:40]!r} entries, which is no number")
            await self._from(int(said), size)
            return False
        if answer.status != 200:
            raise AuditError(f"it answers {answer.status}: {said.strip()[:200]}")
        self._keep(note + said.encode(), size)
        self._before, self._since = self._before.extend(since), self._since[len(since) :]
        return True

    def _keep(self, cosigned: bytes, size: int) -> None:
        try:
            self._key.open(cosigned)
        except Distrusted as error:
            raise AuditError(f"what it answers is not cosigned: {error}") from None
        with writing(self._path):
            replace_file(self._path, cosigned)
        self._seen = size

    async def _from(self, seen: int, size: int) -> None:
        """It has seen another number of entries than we remember: the proof has to start there."""
        before = self._before or CompactRange()
        if seen > size or seen == before.size:
            raise AuditError(f"it has seen {seen} entries of another history than the log of {size} entries has")
        if seen > before.size:
            more = seen - before.size
            self._before, self._since, self._seen = before.extend(self._since[:more]), self._since[more:], seen
            return
        earlier = await asyncio.to_thread(self._leaves, before.size)
        # Sealing goes on while those are read: what it has added to `_since` until now comes after them.
        self._before, self._since = CompactRange().extend(earlier[:seen]), [*earlier[seen:], *self._since]
        self._seen = seen

    def _leaves(self, count: int) -> list[bytes]:
        """Of the first entries on disk. Raises AuditError when there are fewer."""
        leaves = [leaf_hash(line) for line in islice(read_lines(self._segments), count)]
        if len(leaves) < count:
            raise AuditError(f"{self._segments} holds {len(leaves)} entries, and the witness had seen {count}")
        return leaves

    def _stored(self) -> int:
        try:
            return Head.parse(self._key.open(self._path.read_bytes())[0]).size
        except (FileNotFoundError, Distrusted):
            return 0  # the witness itself says how far it has seen


def _key_in(path: Path) -> Key:
    try:
        return Key.parse(path.read_text())
    except (OSError, Distrusted) as error:
        raise ConfigurationError(
            f"TOCSIN_WITNESS_URL is set, but the witness's public key is not in {path} ({error}): "
            "put its witness.pub there"
        ) from None
