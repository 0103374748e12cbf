"""What only insiders can read: host names, internal addresses, ticket ids, file paths, traces of a program."""

import re
from functools import lru_cache

from pipeline.decide.guard.lexicon import lowered
from pipeline.decide.guard.model import Span

# --- hosts and addresses --------------------------------------------------------------------------------------------

_LABELS = r"(?<![\w@.-])(?:[a-z0-9_](?:[a-z0-9_-]{0,62})\.){1,8}"
_SUFFIX = (
    r"(?:internal|intern|intranet|intra|local|lan|corp|home|localdomain|localhost|private|consul|cluster|svc"
    r"|compute\.amazonaws\.com|rds\.amazonaws\.com|cache\.amazonaws\.com|cloudapp\.azure\.com"
    r"|database\.windows\.net|privatelink\.[a-z.]{3,40})"
)
_OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_IPV4 = (
    # An address that stands as an example is none of ours.
    rf"(?<![\w.-])(?<!example\s)(?<!e\.g\.\s)(?<!ffff:)(?:10\.{_OCTET}|192\.168|172\.(?:1[6-9]|2\d|3[01])|127\.0|169\.254|100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7]))"
    rf"\.{_OCTET}\.{_OCTET}(?:/\d{{1,2}}|:\d{{2,5}})?(?![\w.]*\d)"
)
_IPV6 = r"(?<![\w:])(?:f[cd][0-9a-f]{2}|fe80):(?::?[0-9a-f]{1,4}){1,7}(?:%\w{1,15})?"
_MACHINE = (
    r"(?:db|mongo|redis|memcached?|kafka|zookeeper|zk|rabbitmq|etcd|consul|vault|nginx|haproxy|s?lb|srv|vm|esxi?|k8s|kube"
    r"|bastion|vpn|ldap|smtp|mx|ns|fw|gw|rtr|sw|nas|nfs)"
)
_ROLE = (
    rf"(?:{_MACHINE}|mysql|mariadb|sql|postgres|pgsql|pg|web|app|node|worker|host|server|proxy|cache|queue|master|replica"
    r"|shard|mail|backup|build|router|switch|storage|prod|stage|stg|dc)"
)
_NAMED = (
    # What a word and a number mean depends on the word: db-7 is a machine, windows-11 is not, node20 is a version.
    r"(?<![\w./-])(?:"
    rf"(?:[a-z]{{2,12}}\d?-){{1,4}}{_ROLE}(?:-[a-z]{{1,12}})?-?\d{{1,4}}"
    rf"|{_MACHINE}(?:-[a-z]{{1,12}}){{1,2}}-\d{{1,4}}|{_ROLE}-?0\d{{1,3}}|{_MACHINE}-\d{{1,4}}"
    r"|(?:db|zk|lb|srv|gw|fw)\d{1,3}|mysql[1-4]"
    r")(?:-[a-z0-9]{1,12})?(?![\w-])"
)
_HOSTS = re.compile(
    rf"{_LABELS}{_SUFFIX}\b(?:\.[a-z0-9-]{{1,40}}){{0,3}}(?::\d{{2,5}})?(?![\w-])"
    rf"|{_IPV4}|{_IPV6}"
    rf"|{_NAMED}"
    r"|(?<![\w-])ip-\d{1,3}-\d{1,3}-\d{1,3}-\d{1,3}\b|(?<![\w-])i-[0-9a-f]{8,17}\b"
    r"|(?<![\w-])[a-z](?:[a-z0-9]{0,20}-){1,6}[0-9a-f]{8,10}-[a-z0-9]{5}(?![\w-])"
    r"|\barn:aws[\w-]{0,10}:[\w:/.-]{4,200}",
)
_TOOLS = r"(?:grafana|kibana|prometheus|alertmanager|argocd|splunk|runbooks?|intranet|vault|nagios)"
_URLS = re.compile(
    rf"\bhttps?://(?:(?:[\w.-]{{1,200}}\.)?{_SUFFIX}|localhost|{_IPV4}|\[[0-9a-f:]{{2,40}}\]|[a-z0-9_-]{{1,63}}"
    rf"|{_TOOLS}\.[\w-]{{1,63}}\.[\w.-]{{2,100}}|[\w-]{{1,63}}\.(?:slack\.com|atlassian\.net|pagerduty\.com|datadoghq\.com))"
    r"(?::\d{1,5})?(?=[/?#\s,;)\]>\"']|[.:](?:\s|\Z)|\Z)(?:[/?#][^\s<>\"')\]]{0,500})?",
)

# --- tickets, files, traces -------------------------------------------------------------------------------------------

_NO_PROJECT = (
    r"(?:UTF|SHA|MD|AES|RSA|DES|TLS|SSL|HTTP|HTTPS|TCP|UDP|BGP|AS|IP|IPV|ISO|IEC|DIN|EN|RFC|CVE|CWE|GHSA|RHSA|DSA|USN|PCI|SOC|NIS|FIPS"
    r"|GPT|LLAMA|COVID|UTC|GMT|CET|EST|PST|SEV|PRIO|TIER|LEVEL|PHASE|STEP|ART|DSGVO|GDPR|US|EU|AP|SA|NA|UK|DE|CA|EAST|WEST|NORTH|SOUTH"
    r"|CENTRAL|USB|HDMI|WIN|WINDOWS|UBUNTU|DEBIAN|RHEL|JAVA|JDK|PHP|ARM|X|Q|H|FY|KW|MI|AG|LAW|OAUTH|WEB|IOS|BUILD|PR|GH|ZONE|AZ|DC|PORT|CAT|FAQ)"
)
_TICKETS = re.compile(
    rf"(?<![\w/.-])(?!{_NO_PROJECT}-)[A-Z][A-Z0-9]{{1,9}}-\d{{1,7}}\b(?![-.]\w)"
    r"|\b(?:INC|CHG|PRB|RITM|SCTASK)\d{5,10}\b"
)
_PATHS = re.compile(
    r"(?<![\w/.:~-])~?/(?:etc|var|usr|opt|home|srv|tmp|root|mnt|proc|sys|boot)/[\w./@+-]{1,200}"
    r"|(?<![\w/])~/[\w.-]{1,60}/[\w./-]{0,200}"
    r"|(?<!\w)[A-Za-z]:\\[\w.$-]{1,60}(?:\\[\w.$-]{1,60}){0,12}"
    r"|(?<![\w\\])\\\\[\w.-]{1,60}(?:\\[\w.$-]{1,60}){1,12}"
)
_TRACES = re.compile(
    r"Traceback \(most recent call last\)[\s\S]*?(?:\n\n|\Z)"
    r"|\bat [\w$.<>]{1,200}\([\w$.]{1,80}:\d{1,6}\)"
    r"|\bFile \"[^\"\n]{1,200}\", line \d{1,6}(?:, in \S{1,80})?"
    r"|\b(?:[a-z_]\w{0,40}\.){1,8}[A-Z]\w{0,60}(?:Exception|Error)\b(?:: [^\n]{1,200})?"
    r"|\bgoroutine \d{1,9} \[[^\]\n]{1,40}\]|\bpanic: [^\n]{1,200}|\b0x[0-9a-fA-F]{8,16}\b"
    r"|(?<![\w/.-])[\w/.-]{1,120}\.(?:py|java|go|rb|js|ts|tsx|cs|cpp|rs|kt|scala|php):\d{1,6}\b"
)


@lru_cache(maxsize=4096)
def names(text: str) -> tuple[Span, ...]:
    """Host names, private addresses and internal URLs in `text`."""
    small = lowered(text)
    return tuple(match.span() for pattern in (_URLS, _HOSTS) for match in pattern.finditer(small))


@lru_cache(maxsize=4096)
def names_of(text: str, word: str) -> tuple[Span, ...]:
    """Where a word of the team's own stands in `text`; one that begins with a dot is the end of host names."""
    return tuple(match.span() for match in _own(lowered(word.strip())).finditer(lowered(text)))


@lru_cache(maxsize=4096)
def tickets(text: str) -> tuple[Span, ...]:
    """Ids of tickets in `text`."""
    return tuple(match.span() for match in _TICKETS.finditer(text))


@lru_cache(maxsize=4096)
def paths(text: str) -> tuple[Span, ...]:
    """Paths of files in `text`."""
    return tuple(match.span() for match in _PATHS.finditer(text))


@lru_cache(maxsize=4096)
def traces(text: str) -> tuple[Span, ...]:
    """Stack traces and the like in `text`."""
    return tuple(match.span() for match in _TRACES.finditer(text))


@lru_cache(maxsize=1024)
def _own(word: str) -> re.Pattern[str]:
    if word.startswith("."):
        return re.compile(rf"(?<![\w.-])(?:[\w-]{{1,63}}\.){{0,8}}[\w-]{{1,63}}{re.escape(word)}(?![\w-])")
    return re.compile(rf"(?<!\w){re.escape(word)}(?!\w)" if word else r"(?!)")
