"""German: the words that the rules look for. Each line of a table is one way to say it."""

from pipeline.decide.guard.lexicon import Lexicon, W, gap, phrase

# --- blame: that someone else, or some person, caused it -------------------------------------------------------

_VENDOR = (
    r"(?:AWS|Amazon(?: Web Services)?|(?:Microsoft )?Azure|Microsoft|Google(?: Cloud)?|GCP|Cloudflare|Fastly|Akamai"
    r"|OpenAI|Anthropic|Twilio|SendGrid|Stripe|PayPal|Equinix|Deutsche[nr]? Telekom|Telekom|Vodafone|O2|1&1|IONOS"
    r"|Strato|Hetzner|OVH(?:cloud)?|Digital ?Ocean|Docker ?Hub|Datadog|Okta|Salesforce|SAP|DATEV|CrowdStrike)s?\b"
)
_PARTY = (
    r"(?:(?:\w{2,20}-?)?(?:anbieter|dienstleister|provider|lieferant|zulieferer|hoster|netzbetreiber|carrier|hersteller"
    r"|rechenzentrumsbetreiber)(?:s|n|en|in)?\b"
    r"|(?:unser(?:e[mrsn]?)?|ein(?:e[mrsn]?)?) (?:\w{2,20} )?partners?\b"
    r"|(?:externe|vorgelagerte|fremde)[mrsn]? (?:dienst|system|netz|partei|schnittstelle)\w{0,4}\b"
    r"|dritt(?:anbieter|e[rn]?\b|partei|system)\w{0,4}\b"
    rf"|{_VENDOR})"
)
_CAUSE = (
    r"(?:wegen|aufgrund|auf ?grund|verursacht|ausgelöst|infolge|zurückzuführen auf|durch|ursache (?:war|ist|liegt|lag)"
    r"|grund (?:war|ist|dafür)|liegt|lag|hervorgerufen|geschuldet)\b"
)
_FAULT = (
    r"(?:\w{0,20}(?:störung|ausfall|ausfälle|ausfalls|fehler|problem|vorfall|defekt|panne|fehlkonfiguration"
    r"|unterbrechung|überlastung|einschränkung|wartung)\w{0,3})\b"
)
_PERSON = (
    r"(?:(?:\w{2,20}-?)?(?:mitarbeiter|kolleg|techniker|administrator|admin|entwickler|ingenieur|praktikant"
    r"|bediener)\w{0,5}|(?:\w{2,20}-?)?(?:team|abteilung))"
)
_BY_MISTAKE = r"(?:versehentlich|irrtümlich(?:erweise)?|fälschlich(?:erweise)?|fahrlässig|aus Versehen|unabsichtlich)"

_BLAME = (
    phrase(
        rf"""
        {_CAUSE}{gap(70)}\b{_PARTY}
        {_FAULT} (?:{W} ){{0,3}}?(?:bei|beim|seitens|vo[nm]|i[nm]|des|der|eine[sr]|unsere[sr]) (?:{W} )?{_PARTY}
        {_PARTY}{gap(40)}\b(?:ausgefallen|fällt aus|hat(?:te)? (?:{W} ){{0,3}}{_FAULT}|verursacht|ausgelöst|gestört)
        {_PARTY}{gap(40)}\b(?:meldet|kämpft|{_FAULT})\b
        {_PARTY}s? {_FAULT}
        """
    ),
    phrase(
        rf"""
        menschliche[smn]? (?:versagen|fehler|irrtum)s?\b
        (?:bedien|anwender|benutzer|kunden|nutzer)-?fehler\w{{0,2}}\b
        {_PERSON}\b{gap(40)}\b{_BY_MISTAKE} (?:{W} ){{0,4}}?\w{{3,30}}(?:t|en)\b
        {_PERSON}\b{gap(30)}\b(?:vergessen|verschlafen|übersehen|versäumt|falsch (?:konfiguriert|eingestellt|bedient))\b
        {_CAUSE} (?:{W} ){{0,3}}?(?:eines|einzelnen?|einiger) (?:{W} )?(?:kunden|nutzers?|anwenders?|mandanten)\b
        (?:ein|einige) (?:kunden?|nutzer|anwender|mandanten?)\b{gap(30)}\b(?:verursacht|überlastet|missbraucht)
        """
    ),
    phrase(
        r"""
        (?:ist|sind|war|waren|trägt|tragen|hat|haben)(?: \w{1,20}){0,3} (?:daran |dafür )?schuld\b
        schuld (?:ist|sind|war|waren|daran|hat|trägt|tragen)\b
        verschulde(?:n|t|te)\b
        versagen (?:der|des|von|unserer|unseres)\b
        (?:nach|fahr)lässig\w{0,7}\b
        schlamperei\b
        unfähig(?:keit|en)?\b
        """
    ),
)

# --- promised end: an estimate of when it will be over ----------------------------------------------------------

_NUMBER = (
    r"(?:~ ?)?(?:\d{1,3}(?:[.,]\d{1,2})?(?: ?(?:-|–|bis) ?\d{1,3}(?:[.,]\d)?)?|einer?|einem|zwei|drei|vier|fünf|sechs"
    r"|acht|zehn|zwölf|fünfzehn|zwanzig|dreißig|einer halben|wenige[nr]?|einige[nr]?|mehrere[nr]?|ein paar"
    r"|eine weitere)"
)
_SPAN = rf"{_NUMBER} ?(?:(?:weitere[nr]?|gute[nr]?) )?(?:minuten?|min|stunden?|std|h|tage?n?|wochen?)\b"
_CLOCK = (
    r"(?:\d{1,2}[:.]\d{2}(?: ?uhr)?|\d{1,2} ?uhr|mittag|mitternacht|(?:heute )?(?:früh|vormittag|nachmittag|abend)"
    r"|heute|morgen|übermorgen|ende (?:des tages|der woche)|tagesende|feierabend|geschäftsschluss"
    r"|(?:mon|diens|donners|frei|sams|sonn)tag|mittwoch)\b"
)
_ABOUT = (
    r"(?:(?:etwa|ca\.?|circa|ungefähr|rund|zirka|spätestens|maximal|höchstens|weniger als|de[nr] nächsten|knapp"
    r"|noch) ){0,3}"
)
_BY_WHEN = (
    rf"(?:(?:in|innerhalb(?: von)?|binnen|bis|bis zum?|bis gegen|gegen|um|vor|ab|noch) {_ABOUT}"
    rf"(?:{_SPAN}|{_CLOCK}|stunde\b)|morgen\b|heute(?: abend| nachmittag| noch)?\b|übermorgen\b)"
)
_WILL = (
    r"(?:wird|werden|sollten?(?! nicht\b)|dürften?|rechnen|erwarten|erwartet|voraussichtlich|gehen davon aus"
    r"|planen|hoffen|schätzen|geschätzt|vermutlich|müssten?)\b"
)
_OVER = (
    r"(?:\w{0,3}behoben|behebung|gelöst|lösung|repariert|wiederhergestellt|wiederherstellung|abgeschlossen|abschluss"
    r"|beendet|beseitigt|erledigt|abgearbeitet|ausgerollt|eingespielt|vorbei|fertig|funktionieren|aufgehoben"
    r"|wieder (?:\w{1,20} ){0,3}?(?:verfügbar|erreichbar|online|da|normal|funktionier\w{1,3}|laufen|nutzbar|möglich"
    r"|hergestellt|in betrieb))\b"
)
_SOON = r"(?:in kürze|bald|gleich|demnächst|jeden moment|jeden augenblick|zeitnah|umgehend)\b"
_NEWS = r"informier|melden|meldung|mitteil|berichten|update|aktualisier|neuigkeit|nachricht|sobald|falls\b|wenn\b"

_PROMISED_END = (
    phrase(
        rf"""
        {_WILL}{gap(80, _NEWS)}\b{_OVER}{gap(50, _NEWS)}\b{_BY_WHEN}
        {_WILL}{gap(80, _NEWS)}\b{_BY_WHEN}{gap(60, _NEWS)}\b{_OVER}
        {_BY_WHEN}{gap(50, _NEWS)}\b{_WILL}{gap(60, _NEWS)}\b{_OVER}
        {_WILL}{gap(60, _NEWS)}\b{_SPAN}{gap(30, _NEWS)}\b(?:dauern|andauern|brauchen|benötigen|in anspruch nehmen)\b
        dauert (?:{W} ){{0,3}}?(?:voraussichtlich|vermutlich|noch) {_ABOUT}{_SPAN}
        {_WILL}{gap(60, _NEWS)}\b{_SOON}{gap(40, _NEWS)}\b{_OVER}
        {_WILL}{gap(60, _NEWS)}\b{_OVER}{gap(20, _NEWS)}\b{_SOON}
        """
    ),
    phrase(
        rf"""
        (?:voraussichtliche|geschätzte|erwartete)[snr]? (?:ende|dauer|behebung){gap(40, _NEWS)}(?:{_SPAN}|{_CLOCK})
        ETA\b(?: ?[:=~≈-] ?| (?:für|bis|ist|die|der|das)\b){{0,4}} ?{_ABOUT}(?:{_SPAN}|{_CLOCK})
        mit (?:der|einer) (?:behebung|lösung|wiederherstellung){gap(60, _NEWS)}\b{_BY_WHEN}
        """
    ),
)

# --- guesses and admissions --------------------------------------------------------------------------------------

_HEDGE = r"(?:vermutlich|wahrscheinlich|möglicherweise|vielleicht|eventuell|mutmaßlich|womöglich|anscheinend|offenbar)"
_GUESS = (
    phrase(
        rf"""
        {_HEDGE}{gap(50)}\b(?:verursacht|ausgelöst|wegen|aufgrund|ursache|zurückzuführen|liegt|schuld|durch|grund)\b
        (?:ursache|grund|auslöser){gap(30)}\b(?:{_HEDGE}|könnten?|dürften?|scheint)\b
        (?:könnten?|dürften?){gap(50)}\b(?:verursacht|ausgelöst|zurückzuführen|ursache|liegen|zusammenhängen)\b
        wir (?:{W} )?(?:vermuten|glauben|denken|nehmen an|mutmaßen|spekulieren)\b
        (?:scheint|scheinen){gap(50)}\b(?:verursacht|ausgelöst|zusammenzuhängen|zu liegen|die ursache|der auslöser)
        (?:mögliche|vermutete|wahrscheinliche|mutmaßliche)[rsn]? (?:ursache|auslöser|grund|fehlerquelle)n?\b
        (?:unsere|die) (?:{W} )?(?:vermutung|annahme|hypothese|theorie) ist\b
        (?:vermutlich|wahrscheinlich|mutmaßlich|womöglich)\b
        """
    ),
)

_ADMISSION = (
    phrase(
        rf"""
        unser(?:e[mrsn]?)? (?:eigene[mrsn]? )?(?:fehler|schuld|verschulden|versäumnis|versehen|irrtum)s?\b
        (?:fehler|versäumnis|verschulden|schuld|versehen)s? (?:unsererseits|auf unserer seite|von uns|bei uns)\b
        (?:wir haben|haben wir) (?:{W} ){{0,6}}?(?:verursacht|verschuldet|versäumt|vergessen|übersehen|verloren)\b
        (?:wir haben|haben wir) (?:{W} ){{0,6}}?(?:falsch gemacht|falsch konfiguriert|zu verantworten|{_BY_MISTAKE})\b
        (?:wir haben|haben wir) (?:{W} ){{0,3}}?(?:einen|schwere|den) (?:{W} )?fehler (?:gemacht|begangen)\b
        wir hätten (?:{W} ){{0,8}}?(?:müssen|sollen|dürfen)\b
        wir (?:{W} ){{0,2}}?(?:übernehmen|tragen) (?:{W} ){{0,3}}?(?:verantwortung|haftung|schuld)\b
        wir (?:sind|waren) (?:{W} ){{0,3}}?(?:verantwortlich|schuld|haftbar)\b
        (?:wir haften|haftung|haftbar|schadens?ersatz|entschädig\w{{2,5}}|kompensation|gutschrift(?:en)?)\b
        (?:wir|sie) (?:{W} ){{0,4}}?(?:erstatten|erstattet|entschädigen|ersetzen)\b
        (?:verletzung|verstoß|verstoßen)(?: \w{{1,20}}){{0,4}} (?:SLAs?|vertrag\w{{0,20}}|vereinbarung)\b
        (?:entschuldig\w{{2,6}}|bedauern|leid)(?: {W}){{0,5}} unser(?:e[mrsn]?)? (?:fehler|versäumnis|versagen)s?\b
        """
    ),
)

# --- what a complete message says --------------------------------------------------------------------------------

_EFFECT = phrase(
    r"""
    (?:beeinträchtig|verzöger|langsam|verlangsam|gestört|störung|eingeschränk|einschränk|unterbroch|unterbrech)
    (?:fehler|fehlgeschlag|schlägt fehl|schlagen fehl|ausfall|ausfälle|ausgefallen|ausfällt|fällt aus|fallen aus)
    (?:nicht|kein(?:e[mrsn]?)?|ohne|nur teilweise|nur eingeschränkt|kaum)\b
    (?:unerreichbar|unverfügbar|offline|betroffen|auswirkung|folgen|zeitüberschreitung|timeout)
    (?:funktionier|arbeiten wieder|läuft wieder|laufen wieder|normal|wiederhergestellt|verfügbar|erreichbar)
    (?:fehlt|fehlen|verloren|veraltet|falsch|hängt|hängen|abgelehnt|abgebrochen|warteschlange|rückstau|länger)
    (?:erhöht|vermehrt)\w{0,3}\b
    problem\w{0,3} (?:mit|bei|beim|in|im)\b
    [45](?:\d\d|xx)\b
    """
)
_RECOVERED = phrase(
    r"""
    (?:behoben|gelöst|repariert|wiederhergestellt|beseitigt|abgeschlossen|beendet|vorbei|erledigt|bereinigt|überstanden)\b
    normal\w{0,4}\b
    wieder\b
    (?:funktionier\w{1,3}|verfügbar|erreichbar|stabil|fehlerfrei|einwandfrei|zurückgerollt|rückgängig)\b
    wie (?:gewohnt|üblich|zuvor|vorher|früher)\b
    """
)
_LASTING = phrase(
    r"""
    datenverlust
    (?:daten|nachrichten|dateien|einträge|aufträge|bestellungen|informationen|änderungen){gap}\b(?:verloren|gelöscht)
    (?:verloren|gelöscht|beschädigt|vernichtet)\b
    (?:dauerhaft|bleibend|endgültig|unwiederbringlich|unwiderruflich)\w{0,3}\b
    verlust(?:e|s)? (?:von|an|der)\b
    nicht (?:mehr )?(?:wiederherstellbar|rekonstruierbar|nachgeholt|nachgeliefert)
    (?:alle|sämtliche)(?: \w{1,20}){0,5} (?:nachgeholt|nachgeliefert|verarbeitet|zugestellt|wiederhergestellt)\b
    """.replace("{gap}", gap(60))
)
_LINGERING = phrase(
    r"""
    (?:nachwirkung|restlich|verbleibend|rückstand|rückstau|warteschlange|vereinzelt)
    (?:noch|weiterhin|weitere|vollständig|komplett|uneingeschränkt|vollumfänglich|restlos)\b
    (?:normal|regulär)\w{0,4}\b
    wie (?:gewohnt|üblich|zuvor|vorher|früher)\b
    keine? (?:weiteren?|auswirkungen?|einschränkungen?|folgen|beeinträchtigungen?)\b
    (?:müssen|bitte) (?:\w{1,20} ){0,6}?(?:neu|erneut|noch einmal|wiederholen)\b
    """
)
_NEXT_UPDATE = phrase(
    rf"""
    (?:update|aktualisierung|meldung|information(?:en)?|nachricht|neuigkeiten){gap(60)}\b(?:{_BY_WHEN}|um {_CLOCK})
    (?:{_BY_WHEN}|um {_CLOCK}|alle {_SPAN}|stündlich){gap(60)}\b(?:informier|melde|update|aktualisier|berichten)
    (?:informier|melde|berichten){gap(60)}\b(?:{_BY_WHEN}|um {_CLOCK}|alle {_SPAN}|stündlich)
    """
)

# --- words of those who run it --------------------------------------------------------------------------------------

_JARGON = phrase(
    r"""
    (?:HTTP[ /-]?[45]\d\d|[45]xx|p(?:50|9[059]|99\.9)|IOPS|QPS|RPS|SLOs?|MTTR|TTLs?|MTU|BGP|ECMP)\b
    OOM(?:[- ]?kill\w{0,4})?\b
    (?:k8s|Kubernetes|kubelet|etcd|Redis|Memcached?|Postgres(?:QL)?|MySQL|Kafka|RabbitMQ|Elasticsearch|ZooKeeper)\b
    (?:pods?|crash ?loop\w{0,8}|fail[- ]?over|replikationsverzögerung|lese-?replikas?|deadlocks?|quorum|shards?)\b
    (?:split[- ]brain|circuit[- ]?breaker|NAT-gateways?|cron-?jobs?|feature[- ]?flags?|rate[- ]?limiter)\b
    (?:load[- ]?balancer|lastverteiler|health[- ]?checks?|ingress|rollback|deployment|hotfix|heap|segfaults?)s?\b
    """
)

LEXICON = Lexicon(
    blame=_BLAME,
    promised_end=_PROMISED_END,
    guess=_GUESS,
    admission=_ADMISSION,
    jargon=_JARGON,
    effect=_EFFECT,
    recovered=_RECOVERED,
    lasting=_LASTING,
    lingering=_LINGERING,
    next_update=_NEXT_UPDATE,
    # "3. März" goes on after its full stop.
    abbreviations=frozenset(f"{day}." for day in range(1, 32))
    | frozenset(("z.b.", "z.", "b.", "d.h.", "d.", "h.", "u.a.", "u.", "ca.", "bzw.", "ggf.", "inkl.", "usw.", "nr."))
    | frozenset(("dr.", "st.", "etc.", "max.", "min.", "evtl.", "vgl.")),
    hard_lix=68.0,
    replacements={
        "secret": "[entfernt]",
        "internal-name": "ein internes System",
        "ticket": "ein internes Ticket",
        "file-path": "eine interne Datei",
        "stack-trace": "[technische Ausgabe entfernt]",
    },
    additions={
        "lasting-unsaid-at-end": ("consequences.lasting", "Noch nicht bekannt."),
        "lingering-unsaid": ("consequences.expected", "Ob noch etwas zu spüren sein wird, ist noch nicht bekannt."),
    },
)
