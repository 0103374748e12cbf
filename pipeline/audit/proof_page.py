"""A proof to read: one HTML page that asks for nothing from anywhere, with the file and the script in it."""

import base64
import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipeline.audit.vouching import Distrusted, Head, Key
from pipeline.settings import REPOSITORY

HERE = Path(__file__).parent
SCRIPT = REPOSITORY / "deploy" / "check_proof.py"
RESULTS = {
    "accepted": "taken by the provider",
    "unknown": "nobody knows whether it arrived: the connection broke before the provider's answer came",
}


WHAT = {
    "delivery.intended": "what was to be told",
    "delivery.ended": "what came of it",
    "delivery.receipt_recorded": "what the provider said later",
}


def page(proof: Mapping[str, Any]) -> str:
    """The proof as HTML. What came from incidents is escaped text; no script of anybody's runs."""
    style = (HERE / "proof.css").read_text("utf-8")
    environment = Environment(loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined)
    environment.filters["moment"] = _moment
    return environment.get_template("proof.html.j2").render(
        proof=proof,
        entries=[_facts(shown) for shown in proof["entries"]],
        head=Head.parse(proof["checkpoint"]),
        keys=[_key(line) for line in proof["log_pub"]],
        results=RESULTS,
        tokens=_tokens(proof),
        raw=json.dumps(proof, ensure_ascii=False, indent=1),
        script=SCRIPT.read_text("utf-8"),
        style=Markup(style),  # noqa: S704 - our own file
        style_hash=f"sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}",
    )


def _facts(shown: Mapping[str, Any]) -> dict[str, Any]:
    """What a reader wants of an entry: what it is, how many others it spoke of, its text for eyes."""
    entry, part = json.loads(shown["entry"]), shown.get("part")
    kind = (entry["body"].get("record_type") if part else entry["record_type"]).removeprefix("io.tocsin.")
    return {
        "index": entry["index"],
        "appended": entry["appended_at"],
        "kind": kind.rsplit(".", 1)[0],
        "what": WHAT.get(kind.rsplit(".", 1)[0], "their addresses, as keyed hashes"),
        "others": part["people"] - 1 if part else 0,
        "leaf": hashlib.sha256(b"\0" + shown["entry"].encode()).hexdigest(),
        "steps": len(shown["path"]),
        "part": json.dumps(json.loads(part["leaf"]), ensure_ascii=False, indent=1) if part else None,
        "text": json.dumps(entry, ensure_ascii=False, indent=1),
    }


def _moment(text: str) -> str:
    """A moment in UTC as people write it."""
    at = datetime.fromisoformat(text)
    return f"{at.day} {at:%B %Y, %H:%M:%S} UTC"


def _key(line: str) -> str:
    try:
        key, _, after = line.partition(" ")
        return f"{Key.parse(key)} {after}".rstrip()
    except Distrusted:
        return line


def _tokens(proof: Mapping[str, Any]) -> dict[str, str]:
    """The person's addresses as the log knows them."""
    bodies = [json.loads(proof["entries"][place]["entry"])["body"] for place in proof["addresses"]]
    return {channel: token for body in bodies for channel, token in (body.get("address_tokens") or {}).items()}
