"""An archive of one incident that was told: journal, deliveries, renderings, the policy. Nothing else is needed."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from pipeline import policy as policies
from pipeline.archive import layout
from pipeline.archive.lines import line_of
from pipeline.archive.store import Store
from pipeline.decide.incident import Decided
from pipeline.replay.rerun import rerun
from pipeline.settings import REPOSITORY
from schemas import codec, topics
from schemas.base import Channel, Message
from schemas.codec import Record
from schemas.delivery import DeliveriesEnded, DeliveriesIntended, DeliveryAttempted, Outcome, Result
from schemas.ids import derived
from schemas.notice import Notice
from schemas.rendering import Rendering
from tests.archive.test_archive import a_data_dir, copied
from tests.audit.logs import Log, a_log, record, record_of, seal_all
from tests.replay.trials import QUIET_PAST, conditions

PEOPLE = ("anna", "berta")
TOLD = (Channel.EMAIL, Channel.SMS, Channel.X)


def turns() -> tuple[Decided, ...]:
    return rerun(QUIET_PAST, replace(conditions(), channels=None)).turns


def windows(notice: Notice) -> Iterator[tuple[Rendering, Message]]:
    """What deliver writes of a notice: on each channel one window, of which all but Berta's SMS is taken."""
    for channel in TOLD:
        rendering = next((r for r in notice.renderings if r.content.channel is channel), None)
        if rendering is None:
            continue
        named = {
            "batch_id": derived("b", notice.notice_id, channel), "notice_id": notice.notice_id,
            "incident": notice.incident, "seq": notice.seq, "channel": channel, "at": notice.at,
        }  # fmt: skip
        people = PEOPLE[:1] if channel is Channel.X else PEOPLE  # it refuses the same text a second time
        same = {"kind": notice.kind, "rendering": rendering.sha256, "recipients": people}
        yield rendering, DeliveriesIntended(**named, **same, audience=notice.audience)
        attempt = derived("a", notice.notice_id, channel)
        yield rendering, DeliveryAttempted(**named, **same, attempt_id=attempt, attempt=1)
        results = (Result.ACCEPTED, Result.PERMANENT if channel is Channel.SMS else Result.ACCEPTED)
        outcomes = tuple(
            Outcome(recipient=who, result=result, reason="r") for who, result in zip(people, results, strict=False)
        )
        yield rendering, DeliveriesEnded(**named, attempt_id=attempt, attempt=1, outcomes=outcomes)


def records(decided: tuple[Decided, ...]) -> Iterator[Record]:
    """What is sealed of it."""
    for turn in decided:
        entry = turn.entry
        at = entry.input.appended_at
        yield record(
            topics.INCIDENT_JOURNAL, entry, id=f"j{entry.seq}", subject=entry.incident, offset=entry.seq, at=at
        )
        for notice in turn.notices:
            for number, (_, one) in enumerate(windows(notice)):
                name = derived("d", notice.notice_id, number, one.TYPE, one.model_dump_json())
                yield record(
                    topics.DELIVERY_RECORDS_TOPIC, one, id=name, subject=entry.incident, offset=0,
                    at=at + timedelta(seconds=1),
                )  # fmt: skip


def archive(directory: Path, decided: tuple[Decided, ...] | None = None) -> str:
    """An archive; its address."""
    decided = decided or turns()
    log = Log(seal_all(records(decided)), a_log(1).private)
    a_data_dir(directory / "data", log)
    url = str(directory / "archive")
    copied(url, directory / "data")
    version = policies.load(REPOSITORY / "deploy" / "policies" / "small-saas")
    named = codec.encode(topics.POLICIES, version, id=version.hash, source="/t", subject=version.name)
    put(url, [record_of(named, 0)])
    made = {r.sha256: r for turn in decided for notice in turn.notices for r in notice.renderings}.values()
    sent = [
        codec.encode(topics.RENDERINGS, r, id=r.sha256, source="/t", key=r.sha256, subject="search-1") for r in made
    ]
    put(url, [record_of(one, offset) for offset, one in enumerate(sent)])
    return url


def put(url: str, found: list[Record]) -> None:
    name = layout.record_piece(found[0].topic, 0, 0, 0, len(found))
    Store(url).put(name, b"".join(line_of(one) + b"\n" for one in found))
