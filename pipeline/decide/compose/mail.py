"""Mails: the same content as text and as HTML, and the calendar entry of a planned maintenance."""

from typing import Any

from pipeline.decide.compose.calendar import calendar
from pipeline.decide.compose.page import Page, tidy
from pipeline.decide.compose.templates import rendered
from pipeline.decide.occasion import Occasion, Telling
from schemas.base import Channel
from schemas.rendering import EmailContent, Moments

_PARAGRAPHS = ("closing", "next", "footer")


def mail(page: Page, telling: Telling, occasion: Occasion) -> tuple[EmailContent, Moments]:
    """Subject, both bodies and, where there is a plan, the calendar entry."""
    said = page.on(Channel.EMAIL)
    said |= page.evaluated("sections.j2", said, _sections)
    bodies = (rendered(f"email.{kind}.j2", page.language, said, page.policy) for kind in ("txt", "html"))
    (subject, text, html), moments = page.slots.settled(page.said["subject"], *bodies)
    return EmailContent(subject=subject, text=text, html=html, calendar=calendar(page, telling, occasion)), moments


def _sections(made: dict[str, Any]) -> dict[str, Any]:
    """What `sections.j2` set; sections that have nothing to say are left out."""
    said = [(heading, tidy(text)) for heading, text in made["sections"] if text]
    tidied = {name: tidy(made[name]) for name in _PARAGRAPHS}
    return made | tidied | {"sections": [(heading, text) for heading, text in said if text]}
