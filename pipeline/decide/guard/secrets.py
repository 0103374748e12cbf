"""Secrets: keys, tokens, passwords. What they look like does not depend on the language."""

import re
from functools import lru_cache
from typing import Final

from pipeline.decide.guard.lexicon import lowered
from pipeline.decide.guard.model import Span

_CALLED = (
    r"(?:password|passwd|passwort|kennwort|passphrase|pwd|secret|api[_ -]?key|access[_ -]?key|auth[_ -]?token"
    r"|access[_ -]?token|client[_ -]?secret"
)
_CALLED_HINTS = ("pass", "kennwort", "pwd", "secret", "key", "token")

_EXACT: Final = (
    (
        "private key",
        "-----BEGIN",
        r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,4}PRIVATE KEY[\s\S]*?(?:-----END [A-Z0-9 ]{1,50}-----|\Z)",
    ),
    ("AWS access key", "AKIA", r"(?<![A-Za-z0-9])AKIA[A-Z0-9]{16}(?![A-Za-z0-9])"),
    ("AWS access key", "ASIA", r"(?<![A-Za-z0-9])ASIA[A-Z0-9]{16}(?![A-Za-z0-9])"),
    ("GitHub token", "gh", r"\bgh[pousr]_[A-Za-z0-9]{20,255}|\bgithub_pat_\w{20,255}"),
    ("GitLab token", "glpat-", r"\bglpat-[\w-]{20,255}"),
    ("Slack token", "xox", r"\bxox[abeprs]-[A-Za-z0-9-]{10,255}"),
    ("Slack webhook", "hooks.slack.com", r"hooks\.slack\.com/services/[\w/]{10,255}"),
    ("Stripe key", "k_", r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{10,255}"),
    ("webhook secret", "whsec_", r"\bwhsec_[A-Za-z0-9+/=]{16,255}"),
    ("Google API key", "AIza", r"\bAIza[\w-]{35}"),
    ("SendGrid key", "SG.", r"\bSG\.[\w-]{16,64}\.[\w-]{16,64}"),
    ("Twilio key", "SK", r"\bSK[0-9a-f]{32}\b"),
    ("package registry token", "npm_", r"\bnpm_[A-Za-z0-9]{30,64}"),
    ("package registry token", "pypi-", r"\bpypi-[\w-]{30,255}"),
    ("cloud token", "_", r"\bdop_v1_[0-9a-f]{32,128}|\bhf_[A-Za-z0-9]{30,64}"),
    ("Vault token", "hv", r"\bhv[bs]\.[\w-]{24,255}"),
    # sk- begins English words too ("sk-learn-…"): a real key has digits and capitals.
    ("API key", "sk-", r"\bsk-(?:ant-|proj-)?(?=[\w-]{0,60}\d)(?=[\w-]{0,60}[A-Z])[\w-]{20,255}"),
    ("web token", "eyJ", r"\beyJ[\w-]{10,2000}(?:\.[\w-]{0,4000}){0,2}"),
    ("Azure key", "Key=", r"\b(?:AccountKey|SharedAccessKey)=[\w+/=]{16,255}"),
    ("signed link", "sig", r"[?&](?:sig|signature|x-amz-signature)=[\w%+/=-]{16,255}"),
)
"""Kind, the letters without which it cannot be there, and what it looks like in exactly this case."""
_ANY_CASE: Final = (
    (
        "connection string",
        ("://",),
        r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@\"'<>]{0,100}:[^\s/@\"'<>]{1,200}@[^\s\"'<>]{1,300}",
    ),
    ("authorization header", ("bearer", "basic"), r"\b(?:bearer|basic)\s{1,4}(?=[^\s\d]{0,60}\d)[\w.~+/-]{16,2000}=*"),
    # After "=" whatever is written; in prose only what has a digit and a letter, as "password: required" has not.
    ("password", _CALLED_HINTS, rf"{_CALLED}|token)[\"']?\s{{0,3}}=\s{{0,3}}[\"']?[^\s\"',;&\[<{{$*]{{4,255}}"),
    (
        "password",
        _CALLED_HINTS,
        rf"{_CALLED})[\"']?(?::| is| ist| lautet)\s{{1,3}}[\"'`]?"
        r"(?=[^\s\"'`,;]{0,60}\d)(?=[^\s\"'`,;]{0,60}[a-z])[^\s\"'`,;\[<]{6,255}",
    ),
)
"""The same in small letters: what stands there in whatever case."""

_EXACT_PATTERNS = [(kind, hint, re.compile(pattern)) for kind, hint, pattern in _EXACT]
_ANY_CASE_PATTERNS = [(kind, hints, re.compile(pattern)) for kind, hints, pattern in _ANY_CASE]


def masked(text: str) -> str:
    """`text` with every character of a secret made unreadable; the rest stays where it stood."""
    for _, (start, end) in secrets(text):
        text = text[:start] + "…" * (end - start) + text[end:]
    return text


@lru_cache(maxsize=4096)
def secrets(text: str) -> tuple[tuple[str, Span], ...]:
    """The kind of each secret in `text` and where it stands."""
    found = [
        (kind, match.span())
        for kind, hint, pattern in _EXACT_PATTERNS
        if hint in text
        for match in pattern.finditer(text)
    ]
    small = lowered(text)
    found += [
        (kind, match.span())
        for kind, hints, pattern in _ANY_CASE_PATTERNS
        if any(hint in small for hint in hints)
        for match in pattern.finditer(small)
    ]
    return tuple(found)
