"""What the pages say, in the languages that there are. A page is in the one that its reader's browser asks for."""

from collections.abc import Mapping

from schemas.base import Channel

LANGUAGES = ("en", "de")

SIGN_UP: Mapping[str, Mapping[str, str]] = {
    "en": {
        "title": "Be told about outages",
        "lead": "{name} tells you when something is broken, planned to be off, or works again.",
        "email": "Email address",
        "phone": "Mobile number, with its country code",
        "either": "One of both will do.",
        "language": "Language",
        "en": "English",
        "de": "German",
        "frequency": "How often",
        "all": "Everything that happens",
        "start_and_end": "Only when it begins and when it is over",
        "digest": "Once a day, together",
        "level": "How much",
        "full": "With all details",
        "public": "As short as it gets",
        "time_zone": "Time zone",
        "office_hours_only": "What is not urgent can wait for office hours",
        "button": "Sign up",
        "afterwards": "You are asked to confirm first, and can leave with every message.",
        "trap": "Leave this empty",
        "wrong": "Nothing was sent yet. Please look at:",
        "wrong address": "Please give an address.",
        "wrong email": "This cannot be an email address.",
        "wrong phone": "This cannot be a number with its country code, such as +49 30 123456.",
        "wrong time_zone": "Please give a time zone such as Europe/Berlin.",
        "wrong other": "Please choose one of what is offered.",
        "sent title": "Please confirm",
        "sent text": "If this address can be reached, a message to it is on its way. You are told nothing until you "
        "have confirmed there. Nothing has come? An address is written to once an hour at most.",
        "often title": "Not now",
        "often text": "That was asked for too often. Please try again in an hour.",
    },
    "de": {
        "title": "Von Störungen erfahren",
        "lead": "{name} sagt Ihnen, wenn etwas nicht geht, planmäßig abgeschaltet wird oder wieder geht.",
        "email": "E-Mail-Adresse",
        "phone": "Mobilnummer mit Ländervorwahl",
        "either": "Eines von beiden genügt.",
        "language": "Sprache",
        "en": "Englisch",
        "de": "Deutsch",
        "frequency": "Wie oft",
        "all": "Alles, was geschieht",
        "start_and_end": "Nur wenn es anfängt und wenn es vorbei ist",
        "digest": "Einmal am Tag, gesammelt",
        "level": "Wie viel",
        "full": "Mit allen Einzelheiten",
        "public": "So kurz wie möglich",
        "time_zone": "Zeitzone",
        "office_hours_only": "Was nicht eilt, kann auf die Bürozeit warten",
        "button": "Anmelden",
        "afterwards": "Sie werden zuerst um eine Bestätigung gebeten und können sich mit jeder Nachricht abmelden.",
        "trap": "Bitte leer lassen",
        "wrong": "Es wurde noch nichts verschickt. Bitte prüfen Sie:",
        "wrong address": "Bitte geben Sie eine Adresse an.",
        "wrong email": "Das kann keine E-Mail-Adresse sein.",
        "wrong phone": "Das kann keine Nummer mit Ländervorwahl sein, etwa +49 30 123456.",
        "wrong time_zone": "Bitte geben Sie eine Zeitzone an, etwa Europe/Berlin.",
        "wrong other": "Bitte wählen Sie eines der Angebote.",
        "sent title": "Bitte bestätigen",
        "sent text": "Wenn diese Adresse erreichbar ist, ist eine Nachricht dorthin unterwegs. Sie erfahren nichts, "
        "bevor Sie dort bestätigt haben. Nichts angekommen? Jeder Adresse wird höchstens einmal in der Stunde "
        "geschrieben.",
        "often title": "Jetzt nicht",
        "often text": "Danach wurde zu oft gefragt. Bitte versuchen Sie es in einer Stunde noch einmal.",
    },
}


WHAT: Mapping[str, Mapping[Channel, str]] = {
    "en": {
        Channel.EMAIL: "emails",
        Channel.SMS: "text messages",
        Channel.X: "posts",
        Channel.WEBHOOK: "webhooks",
        Channel.APPRISE: "notifications",
    },
    "de": {
        Channel.EMAIL: "E-Mails",
        Channel.SMS: "SMS",
        Channel.X: "Beiträge",
        Channel.WEBHOOK: "Webhooks",
        Channel.APPRISE: "Benachrichtigungen",
    },
}
PAGES: Mapping[str, Mapping[str, tuple[str, str, str]]] = {
    "en": {
        "ask": (
            "Stop these messages?",
            "You will get no more {what} about outages and maintenance from us.",
            "Unsubscribe",
        ),
        "done": ("You are unsubscribed", "You will get no more {what} about outages and maintenance from us.", ""),
        "whom to ask": (
            "This address is a distribution list",
            "Several people read what is sent to it, so none of them can unsubscribe it for all. Please ask whoever "
            "runs the list to take you off it, or answer the message to have the whole list taken off.",
            "",
        ),
        "ask to confirm": (
            "Shall we tell you about outages?",
            "You will get {what} about outages and maintenance, and can stop them at any time.",
            "Yes, tell me",
        ),
        "confirmed": ("You will be told", "From now on you get {what} about outages and maintenance from us.", ""),
        "unknown": (
            "This link does not work",
            "It may have been cut off on its way, or be too old. Please use the link in the message itself, or answer "
            "it.",
            "",
        ),
        "try again": ("Not yet", "We could not save this just now. Please try again in a minute.", ""),
    },
    "de": {
        "ask": (
            "Diese Nachrichten abbestellen?",
            "Sie bekommen dann keine {what} zu Störungen und Wartungen mehr von uns.",
            "Abbestellen",
        ),
        "done": ("Sie sind abgemeldet", "Sie bekommen keine {what} zu Störungen und Wartungen mehr von uns.", ""),
        "whom to ask": (
            "Diese Adresse ist ein Verteiler",
            "Was dorthin geht, lesen mehrere, und so kann ihn niemand für alle abmelden. Bitte wenden Sie sich an die "
            "Person, die ihn führt, oder antworten Sie auf die Nachricht, damit der ganze Verteiler abgemeldet wird.",
            "",
        ),
        "ask to confirm": (
            "Sollen wir Ihnen Störungen melden?",
            "Sie bekommen {what} zu Störungen und Wartungen und können sie jederzeit abbestellen.",
            "Ja, bitte",
        ),
        "confirmed": ("Sie erfahren davon", "Von jetzt an bekommen Sie {what} zu Störungen und Wartungen von uns.", ""),
        "unknown": (
            "Dieser Link geht nicht",
            "Vielleicht ist er unterwegs gekürzt worden oder zu alt. Bitte nehmen Sie den Link in der Nachricht "
            "selbst, oder antworten Sie auf sie.",
            "",
        ),
        "try again": (
            "Noch nicht",
            "Das ließ sich eben nicht speichern. Bitte versuchen Sie es gleich noch einmal.",
            "",
        ),
    },
}
"""Title, text and button of each page; what `{what}` is, `WHAT` says."""


def language_of(accepted: str | None) -> str:
    """The one of ours that an Accept-Language header asks for most (RFC 9110, 12.5.4); English if it says nothing."""
    best, weight = LANGUAGES[0], 0.0
    for part in (accepted or "").split(","):
        tag, _, parameter = part.partition(";")
        name = tag.strip().lower().partition("-")[0]
        try:
            said = float(parameter.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        if name in LANGUAGES and said > weight:
            best, weight = name, said
    return best
