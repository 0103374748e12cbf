"""How something is said: sentences that a rule objects to, and their harmless neighbours."""

import pytest

from schemas.journal import NoticeKind
from tests.decide.guard.saying import rules, said

OBJECTED = {
    ("blame", "en"): [
        "The errors are due to an outage at our hosting provider.",
        "A third-party configuration change resulted in failed logins.",
        "This was caused by a faulty deployment in a service provider.",
        "Cloudflare is experiencing problems, so pages load slowly.",
        "We are waiting for our upstream provider.",
        "An engineer accidentally deleted the routing table.",
        "The outage goes back to human error.",
        "One customer overloaded the import queue.",
        "The network team failed to renew the certificate.",
        "The vendor is to blame.",
    ],
    ("blame", "de"): [
        "Die Störung wurde durch unseren Rechenzentrumsbetreiber verursacht.",
        "Grund ist ein Ausfall bei unserem Dienstleister.",
        "Wegen einer Störung bei Cloudflare laden Seiten langsam.",
        "Ein Mitarbeiter hat versehentlich eine Tabelle gelöscht.",
        "Ursache war menschliches Versagen.",
        "Der Hersteller ist schuld.",
    ],
    ("promised-end", "en"): [
        "This should be fixed by 14:00.",
        "We expect full recovery within the hour.",
        "A fix will be deployed in about 30 minutes.",
        "Hotfix is underway, ETA 1h.",
        "The rollout is expected to take another hour; we expect it to take two hours.",
        "Everything should be back to normal shortly.",
        "Within two hours everything should be restored.",
        "The estimated time to clear the backlog is 2 hours.",
        "It will be resolved tomorrow.",
    ],
    ("promised-end", "de"): [
        "Die Störung wird bis 14 Uhr behoben sein.",
        "Wir rechnen in etwa zwei Stunden mit der Behebung.",
        "Der Dienst sollte bis heute Abend wieder verfügbar sein.",
        "Voraussichtliches Ende: 15:30 Uhr.",
        "Das Problem wird in Kürze behoben sein.",
        "In einer Stunde sollte alles wieder funktionieren.",
    ],
    ("guess", "en"): [
        "This is probably caused by a database change.",
        "We suspect the load balancers.",
        "It might be due to yesterday's release.",
        "The problem seems to be related to the network.",
        "We have found a likely cause.",
    ],
    ("guess", "de"): [
        "Das liegt vermutlich an der Datenbank.",
        "Wir vermuten einen Fehler im Netz.",
        "Die Ursache könnte ein Update sein.",
        "Eine mögliche Ursache ist gefunden.",
        "Der Ausfall könnte durch ein Update ausgelöst worden sein.",
    ],
    ("admission", "en"): [
        "This was our mistake.",
        "We inadvertently caused a production outage.",
        "We take full responsibility for this outage.",
        "We failed to renew the certificate.",
        "You will receive SLA credits.",
        "We are sorry for losing your data.",
        "We breached our SLA.",
    ],
    ("admission", "de"): [
        "Das war unser Fehler.",
        "Wir übernehmen die volle Verantwortung.",
        "Wir haben versehentlich Daten verloren.",
        "Wir hätten früher prüfen müssen.",
        "Sie erhalten eine Gutschrift.",
        "Wir entschuldigen uns für unseren Fehler.",
    ],
    ("jargon", "en"): ["Requests fail with 5xx because of replication lag.", "Pods restart after an OOM kill."],
    ("jargon", "de"): ["Nach dem Failover liefert Redis alte Daten.", "Der Loadbalancer antwortet mit HTTP 503."],
}
HARMLESS = {
    ("blame", "en"): [
        "We are working with our provider on it.",
        "Some users mistakenly see a billing notice.",
        "Emails to customers are delayed.",
        "The error was caused by a configuration change.",
        "Our team is working on it.",
        "Users in West Europe are affected.",
        "See azure.example.com for the images.",
    ],
    ("blame", "de"): [
        "Unser Team arbeitet daran.",
        "Die Störung wurde durch eine Änderung der Konfiguration ausgelöst.",
        "Kunden in Bayern sind betroffen.",
        "Mitarbeiter können sich nicht anmelden.",
    ],
    ("promised-end", "en"): [
        "Next update by 14:00.",
        "We will provide another update in 30 minutes.",
        "It was fixed within 20 minutes, at 14:05.",
        "We do not have an ETA for resolution.",
        "Webhooks are delayed by up to 20 minutes.",
        "Customers should have restored functionality now.",
        "The error was expected to be harmless.",
        "Starting jobs could be delayed up to an hour.",
    ],
    ("promised-end", "de"): [
        "Die nächste Meldung kommt um 14 Uhr.",
        "Wir informieren in 30 Minuten wieder.",
        "Die Störung wurde um 14 Uhr behoben.",
        "Mails kommen bis zu einer Stunde später an.",
        "Wann es vorbei sein wird, ist noch nicht bekannt.",
    ],
    ("guess", "en"): [
        "We believe we have found a mitigation.",
        "Some users may see errors.",
        "We update you as soon as possible.",
        "Retrying may help.",
    ],
    ("guess", "de"): ["Kunden können sich möglicherweise nicht anmelden.", "Die Ursache ist gefunden."],
    ("admission", "en"): [
        "We apologize for the inconvenience.",
        "We are sorry for the disruption.",
        "We failed over to the second site.",
        "The cause was a change that we deployed.",
        "We are responsible for keeping you informed, and do so here.",
    ],
    ("admission", "de"): [
        "Wir bitten um Entschuldigung für die Unannehmlichkeiten.",
        "Wir bedauern die Störung.",
        "Wir haben die Ursache gefunden.",
        "Ein Fehler in der Konfiguration wurde behoben.",
    ],
    ("jargon", "en"): ["About a third of all requests fail."],
    ("jargon", "de"): ["Etwa ein Drittel aller Anfragen schlägt fehl."],
}


def cases(table):
    return [(rule, language, sentence) for (rule, language), those in table.items() for sentence in those]


@pytest.mark.parametrize(("rule", "language", "sentence"), cases(OBJECTED))
def test_a_rule_objects_to(rule, language, sentence):
    assert rule in rules(said(sentence, language))


@pytest.mark.parametrize(("rule", "language", "sentence"), cases(HARMLESS))
def test_a_rule_lets_pass(rule, language, sentence):
    assert rule not in rules(said(sentence, language))


def test_blame_is_allowed_in_the_review_after_the_cool_down():
    text = "The outage was caused by our hosting provider."
    assert "blame" not in rules(said(texts={"review": text}, kind=NoticeKind.REVIEW))
    assert "blame" in rules(said(text, kind=NoticeKind.RESOLVED))


def test_plans_for_afterwards_may_have_a_date():
    text = "The switches will be repaired by Friday."
    assert "promised-end" in rules(said(text))
    assert "promised-end" not in rules(said(texts={"planned": text}))


def test_the_field_for_admissions_has_an_approval_of_its_own():
    assert "admission" not in rules(said(texts={"ownership": "This was our mistake."}))


def test_an_admission_needs_its_approval_in_the_review_as_well():
    assert "admission" in rules(said(texts={"review": "This was our mistake."}, kind=NoticeKind.REVIEW))


def test_planned_work_may_say_when_it_ends():
    text = "The migration will be completed by 14:00."
    assert "promised-end" not in rules(said(text, kind=NoticeKind.MAINTENANCE_SCHEDULED))


def test_technicians_may_weigh_causes_and_outsiders_may_not_read_of_it():
    message = {"technical_detail": "Probably caused by the new index."}
    assert "guess" not in rules(said(texts=message, outside=False))
    assert "guess" in rules(said(texts=message))


def test_notes_for_insiders_are_their_authors_business():
    assert not rules(said(texts={"internal_notes": "The vendor is to blame, ETA 14:00."}, outside=False)) & {
        "blame",
        "promised-end",
    }


def test_every_field_that_speaks_is_looked_at():
    found = rules(said(texts={"consequences.now": "Logins fail, which should be fixed by 14:00."}))
    assert "promised-end" in found


def test_a_long_winded_summary_is_unreadable_and_a_short_one_is_not():
    dense = (
        "Notwithstanding comprehensive infrastructural redundancy considerations, authentication subsystem degradation "
        "consequentially precipitated intermittent unavailability throughout interdependent microservice environments, "
        "necessitating comprehensive configuration reconciliation procedures, additionally complicated by "
        "insufficiently provisioned observability instrumentation, unsynchronised certificate rotation schedules, "
        "and undocumented operational interdependencies between organisational responsibilities, engineering "
        "departments and international subsidiaries."
    )
    assert "unreadable" in rules(said(dense))
    assert "unreadable" not in rules(said("Logins fail. We look for the cause. " * 8))
    assert "unreadable" not in rules(said("Authentication infrastructure degradation."))
