"""From an incident event to delivered messages, over real parts: broker, rooms, SMTP, Twilio's and X's clients."""

from schemas.base import Severity
from schemas.incident import IncidentOpened, IncidentResolved
from tests.system import System, channel_counts

OPENED = IncidentOpened(
    title="Card payments fail",
    severity=Severity.MAJOR,
    components=("Payments",),
    summary="One card payment in five fails.",
)
RESOLVED = IncidentResolved(summary="Card payments work again.", done="The change of 09:02 was taken back.")


async def test_everyone_is_told_once_on_the_channel_they_chose(system: System) -> None:
    await system.subscribe("mail-1", email="a@example.com")
    await system.subscribe("both", email="b@example.com", audiences="customers;executives")
    await system.subscribe("other", email="c@example.com", components="Search")
    await system.subscribe("sms-1", phone="+14155552671")
    await system.subscribe("account", x_handle="status", audiences="public")
    await system.publish("INC-1", OPENED)
    await system.all_settled(4)  # an end that comes before the beginning was told takes its place
    await system.publish("INC-1", RESOLVED, start=1)
    found = await system.all_settled(8)
    assert channel_counts(found) == {"accepted": 8}, found.reasons
    assert set(system.mails_by_intent().values()) == {1}
    assert (
        sorted(mail.recipients for mail in system.sandbox.mails) == [("a@example.com",)] * 2 + [("b@example.com",)] * 2
    )
    assert len(system.sandbox.texts) == 2
    assert len(system.sandbox.posts) == 2


async def test_the_mails_of_an_incident_are_one_thread_with_a_one_click_way_out(system: System) -> None:
    await system.subscribe("mail-1", email="a@example.com")
    await system.publish("INC-1", OPENED)
    await system.all_settled(1)
    await system.publish("INC-1", RESOLVED, start=1)
    await system.all_settled(2)
    first, last = system.sandbox.mails
    assert last.header("References") == first.message_id
    assert last.subject == f"Re: {first.subject}"
    for mail in (first, last):
        assert mail.header("List-Unsubscribe-Post") == "List-Unsubscribe=One-Click"
        assert "/u/" in (mail.header("List-Unsubscribe") or "")
        assert mail.header("Auto-Submitted") == "auto-generated"


async def test_an_opt_out_holds_from_the_next_message_on(system: System) -> None:
    await system.subscribe("sms-1", phone="+14155552671")
    system.sandbox.fault("twilio", "error", code=21610)
    await system.publish("INC-1", OPENED)
    await system.all_settled(1)
    await system.publish("INC-2", OPENED)
    found = await system.all_settled(2)
    assert system.sandbox.texts == []
    assert found.reasons["stopped"] == 1
