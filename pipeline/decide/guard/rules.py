"""The table of all rules, and the one function that asks each of them.

The defaults follow from "speed decides": what can be mended without inventing anything is mended, so that the message
goes out at once. A person is waited for only where leaving words out would not do: a fault that is admitted or laid at
someone's door, and an end that the words do not confirm. Style alone never holds a message back.
"""

from collections.abc import Mapping
from typing import Final

from pipeline.decide.guard import checks, completeness, wording
from pipeline.decide.guard.fixes import replaced, without_sentences
from pipeline.decide.guard.model import Action, Applies, Found, Rule, Said, Spans

_NO_HOSTS = "number 5: customer effect first, no host names"
_SENTENCE = "the sentence is left out"
_UNKNOWN = "the message says that it is not known yet"


def _worded(
    id: str,
    default: Action,
    guards: str,
    source: str,
    spans: Spans,
    applies: Applies,
    spared: frozenset[str],
    why: str,
) -> Rule:
    """A rule about how something is said, mended by leaving the sentence out."""
    check = checks.in_each_text(id, why, spans, applies, spared)
    return Rule(id, default, guards, _SENTENCE, source, check, spans, without_sentences(spans))


def _leaked(id: str, guards: str, mends: str, spans: Spans, why: str) -> Rule:
    """A rule about what readers outside must not see, mended by plain words in its place."""
    check = checks.in_each_text(id, why, spans, checks.outside)
    return Rule(id, "mend", guards, mends, _NO_HOSTS, check, spans, replaced(id, spans))


_TABLE: tuple[Rule, ...] = (
    Rule(
        "secret",
        "mend",
        "a key, token or password, for whatever reader",
        'it becomes "[removed]"',
        "number 5: no host names; DESIGN section 3: host names and secrets",
        checks.secret,
        checks.secret_spans,
        replaced("secret", checks.secret_spans),
    ),
    _worded(
        "admission",
        "hold",
        "a fault admitted or redress offered; regret for an inconvenience is none",
        "admit a fault where that is right; where law weighs, a lawyer approves first",
        wording.admission,
        checks.always,
        checks.OWNED,
        "Say it in `ownership`, which waits for the approval that the policy names, or leave it out.",
    ),
    _worded(
        "blame",
        "hold",
        "a vendor, customer, person or team named as the cause; allowed in a review",
        "neutral tone, no blame of anyone; who did it goes into a separate message after a cool-down",
        wording.blame,
        checks.of_an_incident_before_its_review,
        checks.REVIEWS,
        "Say what happens and what is done about it, not whose doing it is; keep that for the review.",
    ),
    _worded(
        "promised-end",
        "mend",
        "an estimate of when it will be over; neither a next update nor the plan of a maintenance",
        "number 5: no estimate of the resolution time; commit to nothing that is not certain",
        wording.promised_end,
        checks.while_it_lasts,
        checks.PLANS,
        "Leave the estimate out, and say when the next update comes.",
    ),
    _worded(
        "guess",
        "mend",
        "a cause that is guessed at, for readers outside",
        "number 5: no guesses; commit to nothing that is not certain",
        wording.guess,
        checks.to_outsiders_before_the_review,
        checks.REVIEWS,
        "Leave the guess out until it is known.",
    ),
    Rule(
        "internal-name",
        "mend",
        "a host name, private address or internal URL, for readers outside",
        'it becomes "an internal system"',
        _NO_HOSTS,
        checks.internal_name,
        checks.names,
        replaced("internal-name", checks.names),
    ),
    _leaked(
        "ticket",
        "the id of a ticket, for readers outside",
        'it becomes "an internal ticket"',
        checks.tickets,
        "Leave the ticket's id to internal_notes.",
    ),
    _leaked(
        "file-path",
        "the path of a file on one of our machines, for readers outside",
        'it becomes "an internal file"',
        checks.paths,
        "Leave the path to technical_detail.",
    ),
    _leaked(
        "stack-trace",
        "what a program prints when it fails, for readers outside",
        'it becomes "[technical output removed]"',
        checks.traces,
        "Leave it to technical_detail, and say what people notice.",
    ),
    Rule(
        "same-text",
        "refuse",
        "an update that says only what was said before",
        "",
        "number 5: text identical to the previous one is refused",
        completeness.same_text,
    ),
    Rule(
        "consequences-unsaid",
        "mend",
        "a running incident, and no word of what it means for those who use the service",
        _UNKNOWN,
        "say plainly what the consequences are, now and in the near future",
        completeness.consequences_unsaid,
    ),
    Rule(
        "lasting-unsaid",
        "mend",
        "a running incident, and no word of lasting damage",
        _UNKNOWN,
        "name the lasting consequences or say explicitly that there are none",
        completeness.lasting_unsaid,
    ),
    Rule(
        "lasting-unsaid-at-end",
        "mend",
        "a resolution that does not say whether data was lost or anything else stays",
        _UNKNOWN,
        "number 6: data loss yes or no",
        completeness.lasting_unsaid_at_end,
    ),
    Rule(
        "lingering-unsaid",
        "mend",
        "a resolution that does not say whether anything is still to be felt",
        _UNKNOWN,
        "number 6: lingering impact yes or no",
        completeness.lingering_unsaid,
    ),
    Rule(
        "recovery-unconfirmed",
        "hold",
        "a resolution whose words do not say that it works again",
        "",
        "number 6: recovery confirmed; do not declare the end too early",
        completeness.recovery_unconfirmed,
    ),
    Rule(
        "contact-unsaid",
        "mend",
        "nobody named who has time for questions",
        "the message says so, and asks for patience",
        "name one contact who has time during the outage, and ask for patience in the same sentence",
        completeness.contact_unsaid,
    ),
    Rule(
        "next-update-unsaid",
        "mend",
        "a running incident without a time for the next update",
        "the message says that it comes when the situation changes",
        "number 4: every non-final update states when the next one comes",
        completeness.next_update_unsaid,
    ),
    Rule(
        "unreadable",
        "off",
        "a summary of long sentences and long words",
        "",
        "the first half paragraph is an executive summary; an ordinary user feels they understand",
        checks.unreadable,
    ),
    Rule(
        "jargon",
        "off",
        "words that only those who run systems know, for readers outside",
        "",
        "an ordinary user feels they understand; technical detail follows for technical readers",
        checks.in_each_text("jargon", "Say it in words that its users know.", wording.jargon, checks.outside),
        wording.jargon,
    ),
)
RULES: Final[Mapping[str, Rule]] = {rule.id: rule for rule in _TABLE}
"""All rules by id, in the order in which they are asked."""


def examine(said: Said, off: frozenset[str] = frozenset()) -> tuple[Found, ...]:
    """What the rules find in `said`, in the order of the table; those named in `off` are not asked."""
    return tuple(found for rule in _TABLE if rule.id not in off for found in rule.check(said))
