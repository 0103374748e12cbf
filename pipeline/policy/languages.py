"""`languages.yaml`: how we speak: the name, the languages, the clocks, the contact."""

import re
from typing import Annotated

from pydantic import BeforeValidator, Field, model_validator

from pipeline.policy.words import Document, LanguageWord, Zone, nearest, refuse, shown
from schemas.base import Line
from schemas.incident import Contact


def _link(value: object) -> object:
    if value is not None and re.fullmatch("https://[!-~]+", str(value)) is None:
        raise ValueError(f"{shown(value)} is no link; write one that begins with https://, or null for none")
    return value


class Languages(Document):
    """`languages.yaml`."""

    name: Line
    languages: tuple[LanguageWord, ...] = Field(min_length=1)
    default: LanguageWord = Field(alias="whoever chose another language reads")
    original: LanguageWord = Field(alias="events are written in")
    clocks: dict[Line, Zone] = Field(alias="clocks beside UTC", default_factory=dict, max_length=3)
    contact: Contact | None = None
    link_on_x: Annotated[str | None, BeforeValidator(_link)] = Field(alias="link on X", default=None)

    @model_validator(mode="after")
    def _default_is_one_of_them(self) -> "Languages":
        if self.default not in self.languages:
            text = f"{self.default!r} is not among the languages; {nearest(self.default, self.languages)}"
            refuse([(("whoever chose another language reads",), text)])
        return self
