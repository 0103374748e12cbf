"""The few pages that people see. Each says one thing; the only script-like thing in them is one form."""

import base64
import hashlib
import zoneinfo
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline.web.signup import TRAP
from pipeline.web.words import LANGUAGES, PAGES, SIGN_UP, WHAT
from schemas.base import Channel, Level
from schemas.subscriber import Frequency

STYLE = (
    "body{font:1.125rem/1.6 system-ui,sans-serif;margin:0;color:#1a1a1a;background:#fff}"
    "main{max-width:34rem;margin:15vh auto 0;padding:0 1.5rem}h1{font-size:1.6rem;line-height:1.25}"
    "button{font:inherit;padding:.75rem 1.5rem;border:2px solid #14467c;border-radius:.4rem;"
    "background:#14467c;color:#fff;cursor:pointer}button:hover{background:#0d2f54}"
    "button:focus-visible,input:focus-visible,select:focus-visible{outline:3px solid #e08a00;outline-offset:3px}"
    "form{margin:1.5rem 0 3rem}label{display:block;margin:1.1rem 0 .25rem;font-weight:600}"
    "label.check{font-weight:400}"
    "label.check input{width:1.2rem;height:1.2rem;margin-right:.5rem;vertical-align:-.15rem}"
    "input,select{font:inherit;box-sizing:border-box;padding:.55rem .7rem;border:1px solid #767676;border-radius:.4rem;"
    "background:#fff;color:#1a1a1a}input:not([type=checkbox]),select{width:100%}.trap+button{margin-top:1.5rem}"
    ".hint{font-size:.95rem;color:#555}.wrong{border-left:.3rem solid #b3261e;padding-left:.8rem}"
    ".trap{position:absolute;left:-99rem;width:1px;height:1px;overflow:hidden}"
    "@media(prefers-color-scheme:dark){body{color:#eee;background:#161616}input,select{background:#222;color:#eee;"
    "border-color:#888}.hint{color:#bbb}.wrong{border-color:#f2b8b5}}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Nothing is loaded, nothing runs; the one style is named by its hash."""

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)
_TEMPLATE = _TEMPLATES.get_template("page.html")
INPUTS = {Channel.EMAIL: ("email", "email", "email"), Channel.SMS: ("phone", "tel", "tel")}
CHOICES = (
    ("language", tuple((language, language) for language in LANGUAGES)),
    ("frequency", tuple((str(one), str(one)) for one in Frequency)),
    ("level", (("", "full"), (Level.PUBLIC.value, "public"))),
)
ZONES = {"en": "UTC", "de": "Europe/Berlin"}
"""What stands there at first."""


ONE_CLICK = ("List-Unsubscribe", "One-Click")
"""What the form posts: RFC 8058's own words."""
CONFIRM = ("confirm", "yes")


def _page(title: str, text: str, language: str, button: str = "", posts: tuple[str, str] = ONE_CLICK) -> str:
    return _TEMPLATE.render(title=title, text=text, button=button, posts=posts, style=STYLE, language=language)


def sign_up(
    name: str,
    language: str,
    channels: Iterable[Channel],
    given: Mapping[str, str] = MappingProxyType({}),
    wrong: str | None = None,
) -> str:
    """The form. `given`: what was filled in before; `wrong`: the field that could not be used."""
    words = SIGN_UP[language]
    before = {"language": language, "frequency": Frequency.ALL.value, "time_zone": ZONES[language], **given}
    return _TEMPLATES.get_template("signup.html").render(
        name=name,
        language=language,
        words=words,
        fields=[INPUTS[channel] for channel in channels],
        choices=CHOICES,
        given=defaultdict(str, before),
        zones=sorted(zoneinfo.available_timezones()),
        trap=TRAP,
        wrong=words.get(f"wrong {wrong}", words["wrong other"]) if wrong else None,
        style=STYLE,
    )


def asked(language: str) -> str:
    """The page after the form, whoever is known and whoever is not."""
    return _page(SIGN_UP[language]["sent title"], SIGN_UP[language]["sent text"], language)


def too_often(language: str) -> str:
    """The page for whoever asks again and again."""
    return _page(SIGN_UP[language]["often title"], SIGN_UP[language]["often text"], language)


def ask(channel: Channel, language: str) -> str:
    """The page behind the link: opening it changes nothing, since mail scanners open every link."""
    return _of("ask", language, channel)


def done(channel: Channel, language: str) -> str:
    """The page after the button."""
    return _of("done", language, channel)


def whom_to_ask(language: str) -> str:
    """The page behind the link in a mail to a distribution list."""
    return _of("whom to ask", language)


def ask_to_confirm(channel: Channel, language: str) -> str:
    """The page behind the link in a request for confirmation."""
    return _of("ask to confirm", language, channel, CONFIRM)


def confirmed(channel: Channel, language: str) -> str:
    """The page after that button."""
    return _of("confirmed", language, channel)


def unknown(language: str) -> str:
    """The page behind a link that we did not make."""
    return _of("unknown", language)


def try_again(language: str) -> str:
    """The page when nothing could be written: nobody is told that they are unsubscribed who is not."""
    return _of("try again", language)


def _of(page: str, language: str, channel: Channel | None = None, posts: tuple[str, str] = ONE_CLICK) -> str:
    title, text, button = PAGES[language][page]
    what = WHAT[language][channel] if channel is not None else ""
    return _page(title, text.format(what=what), language, button, posts)
