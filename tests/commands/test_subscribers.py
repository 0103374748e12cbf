"""`tocsin subscribers`: in by a file or one by one, on stated terms; out again; what was refused in a report."""

import csv
import json
from pathlib import Path

from pipeline.commands.subscribing.writing import read_roster
from pipeline.settings import Settings
from schemas.base import Channel
from tests.commands.running import tocsin

PEOPLE = [
    {"id": "ada", "email": "ada@example.com", "audiences": ["customers"]},
    {"email": "no address", "audiences": ["customers"]},
    {"email": "ADA@example.com", "phone": "+15005550006", "audiences": ["technical"], "channels": ["sms"]},
]


async def test_people_come_in_on_stated_terms_and_go_out_as_they_are(own_broker: Settings, tmp_path: Path) -> None:
    file, report, copy = tmp_path / "people.json", tmp_path / "report.csv", tmp_path / "copy.jsonl"
    file.write_text(json.dumps(PEOPLE))

    refused = await tocsin(own_broker, "subscribers", "import", str(file))
    assert refused.exit_code == 1
    assert '--consent "contract", or --confirm' in refused.output
    both = await tocsin(own_broker, "subscribers", "import", str(file), "--consent", "contract", "--confirm")
    assert both.exit_code == 1

    done = await tocsin(
        own_broker, "subscribers", "import", str(file), "--consent", "contract", "--report", str(report)
    )
    assert done.exit_code == 1  # a line was refused
    assert "1 merged, 1 refused, 1 subscribed" in done.output
    lines = list(csv.DictReader(report.open()))
    assert [(line["line"], line["refused"]) for line in lines] == [("2", "yes"), ("3", "no")]
    assert "line 1" in lines[1]["what"]
    assert "@example.com" not in report.read_text()
    roster = await read_roster(own_broker)
    ada = roster.subscribers["ada"]
    assert (ada.choices.audiences, ada.standing.consent) == (("customers", "technical"), "contract")

    added = await tocsin(
        own_broker, "subscribers", "add", "--email", "bo@example.com", "--audience", "customers", "--confirm"
    )
    assert (added.exit_code, added.output.strip()) == (0, "1 subscribed")
    [bo] = [one for one in (await read_roster(own_broker)).subscribers.values() if one.id != "ada"]
    assert bo.unconfirmed == (Channel.EMAIL,)
    listed = await tocsin(own_broker, "subscribers", "list")
    assert "unconfirmed" in listed.output
    assert "contract" in listed.output

    exported = await tocsin(own_broker, "subscribers", "export", str(copy))
    assert (exported.exit_code, exported.output.strip()) == (0, "2 exported")
    assert copy.stat().st_mode & 0o777 == 0o600
    addresses = {json.loads(line)["email"] for line in copy.read_text().splitlines()}
    assert addresses == {"ADA@example.com", "bo@example.com"}  # as the newer line spells it
    again = await tocsin(own_broker, "subscribers", "export", str(copy))
    assert again.exit_code == 1
    assert "not overwritten" in again.output
    same = await tocsin(own_broker, "subscribers", "import", str(copy), "--confirm")
    assert (same.exit_code, same.output.strip()) == (0, "2 unchanged")
