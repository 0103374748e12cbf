"""`guard.yaml`: what becomes of a text in which a rule of the guard finds something."""

from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, Field

from pipeline.policy.words import Document, Name, nearest, shown
from schemas.base import Line

Action = Literal["mend", "hold", "refuse", "off"]


def _action(value: object) -> object:
    if value not in get_args(Action):
        raise ValueError(f"{shown(value)} is no action; {nearest(str(value), get_args(Action))}")
    return value


class Guard(Document):
    """`guard.yaml`: an action for each rule by its id; a rule that is not named keeps its default."""

    rules: dict[str, Annotated[Action, BeforeValidator(_action)]] = Field(default_factory=dict)
    own_words: tuple[Line, ...] = Field(default=(), alias="never told outside")
    approver: Name = Field(default="communications", alias="held for")
