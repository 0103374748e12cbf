"""Asking whether an address is its owner's (double opt-in): which batch a subscriber's event brings. Pure.

A request is a message like any other, with intent, attempt and outcome on record. Of one address at most one is sent an
hour, however often it is given: the ids are the same within one, and whoever has an intent is not asked again.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from jinja2 import Environment

from pipeline.text.sms import measure
from schemas.base import Channel, Lane, Level
from schemas.delivery import DeliveryBatch, Request
from schemas.ids import batch_id, derived
from schemas.rendering import UTC, EmailContent, Rendering, SmsContent, rendering_of
from schemas.subscriber import ChoicesChanged, Subscribed, Subscriber

LINK: Final = "{{confirm}}"
AUDIENCE: Final = "confirmation"
BUCKET_S: Final = 3600


def requests(
    subscriber: Subscriber,
    event: object,
    at: datetime,
    partition: int,
    words: Environment,
    name: str,
    languages: tuple[str, ...],
) -> Iterator[DeliveryBatch]:
    """The requests that follow from `event`, appended at `at`; `subscriber` as the fold has them after it.

    `words`: the templates; `name`: who speaks; `languages`: those that there are, the first for whoever reads another.
    """
    if not isinstance(event, Subscribed | ChoicesChanged):
        return
    for channel in event.unconfirmed:
        address = subscriber.address_tokens.get(channel)
        if channel not in subscriber.unconfirmed or address is None:
            continue
        incident, seq = f"confirmation.{derived('confirmation', address)}", int(at.timestamp()) // BUCKET_S
        notice = derived("notice", incident, seq, AUDIENCE)
        language = subscriber.choices.language.partition("-")[0].lower()
        rendering = request(channel, words, name, language if language in languages else languages[0])
        if rendering is None:
            continue
        yield DeliveryBatch(
            batch_id=batch_id(notice, channel, partition, rendering.sha256, UTC, subscriber.id),
            notice_id=notice,
            incident=incident,
            seq=seq,
            kind=Request.CONFIRMATION,
            audience=AUDIENCE,
            channel=channel,
            lane=Lane.FIRST,
            closing=False,
            urgent=True,  # they wait for it now: no quiet hours, no digest
            at=at,
            rendering=rendering,
            recipients=(subscriber.id,),
        )


def request(channel: Channel, words: Environment, name: str, language: str) -> Rendering | None:
    """The words of a request; None on a channel on which nobody is asked."""
    said: Any = words.get_template(f"{language}/confirmation.j2").make_module({"name": name, "link": LINK})
    if channel is Channel.SMS:
        text = str(said.sms)
        measured = measure(text)
        content: EmailContent | SmsContent = SmsContent(
            text=text, encoding=measured.encoding, segments=measured.segments
        )
    elif channel is Channel.EMAIL:
        parts = [getattr(said, part) for part in ("lead", "button")]
        text = f"{parts[0]}\n\n{parts[1]}:\n{LINK}\n\n{said.within} {said.otherwise}\n"
        page = words.get_template("confirmation.html.j2").render(said=said, link=LINK, language=language)
        content = EmailContent(subject=str(said.subject), text=text, html=page)
    else:
        return None  # an account on X is the operator's own
    return rendering_of(language, Level.PUBLIC, content)
