"""The few pages that people see. Each says one thing; the only script-like thing in them is one form."""

import base64
import hashlib
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from schemas.base import Channel

STYLE = (
    "body{font:1.125rem/1.6 system-ui,sans-serif;margin:0;color:#1a1a1a;background:#fff}"
    "main{max-width:34rem;margin:15vh auto 0;padding:0 1.5rem}h1{font-size:1.6rem;line-height:1.25}"
    "button{font:inherit;padding:.75rem 1.5rem;border:2px solid #14467c;border-radius:.4rem;"
    "background:#14467c;color:#fff;cursor:pointer}button:hover{background:#0d2f54}"
    "button:focus-visible{outline:3px solid #e08a00;outline-offset:3px}"
    "@media(prefers-color-scheme:dark){body{color:#eee;background:#161616}}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
SECURITY_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Nothing is loaded, nothing runs; the one style is named by its hash."""

WHAT = {
    Channel.EMAIL: "emails",
    Channel.SMS: "text messages",
    Channel.X: "posts",
    Channel.WEBHOOK: "webhooks",
    Channel.APPRISE: "notifications",
}
_TEMPLATE = Environment(
    loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
).get_template("page.html")


ONE_CLICK = ("List-Unsubscribe", "One-Click")
"""What the form posts: RFC 8058's own words."""
CONFIRM = ("confirm", "yes")


def _page(title: str, text: str, button: str | None = None, posts: tuple[str, str] = ONE_CLICK) -> str:
    return _TEMPLATE.render(title=title, text=text, button=button, posts=posts, style=STYLE)


def ask(channel: Channel) -> str:
    """The page behind the link: opening it changes nothing, since mail scanners open every link."""
    return _page(
        "Stop these messages?",
        f"You will get no more {WHAT[channel]} about outages and maintenance from us.",
        "Unsubscribe",
    )


def done(channel: Channel) -> str:
    """The page after the button."""
    return _page("You are unsubscribed", f"You will get no more {WHAT[channel]} about outages and maintenance from us.")


def whom_to_ask() -> str:
    """The page behind the link in a mail to a distribution list."""
    return _page(
        "This address is a distribution list",
        "Several people read what is sent to it, so none of them can unsubscribe it for all. Please ask whoever runs "
        "the list to take you off it, or answer the message to have the whole list taken off.",
    )


def ask_to_confirm(channel: Channel) -> str:
    """The page behind the link in a request for confirmation."""
    return _page(
        "Shall we tell you about outages?",
        f"You will get {WHAT[channel]} about outages and maintenance, and can stop them at any time.",
        "Yes, tell me",
        CONFIRM,
    )


def confirmed(channel: Channel) -> str:
    """The page after that button."""
    return _page("You will be told", f"From now on you get {WHAT[channel]} about outages and maintenance from us.")


def unknown() -> str:
    """The page behind a link that we did not make."""
    return _page(
        "This link does not work",
        "It may have been cut off on its way, or be too old. Please use the link in the message itself, or answer it.",
    )


def try_again() -> str:
    """The page when nothing could be written: nobody is told that they are unsubscribed who is not."""
    return _page("Not yet", "We could not save this just now. Please try again in a minute.")
