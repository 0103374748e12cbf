"""English: the words that the rules look for. Each line of a table is one way to say it."""

from pipeline.decide.guard.lexicon import Lexicon, W, gap, phrase

# --- blame: that someone else, or some person, caused it -------------------------------------------------------

_VENDOR = (
    r"(?<![./`-])(?<!our\s)(?:AWS|Amazon(?: Web Services)?|(?:Microsoft )?Azure|Microsoft|Google(?: Cloud)?|GCP|Akamai"
    r"|Cloudflare|Fastly"
    r"|OpenAI|Anthropic|Twilio|SendGrid|Stripe|PayPal|Equinix|Lumen|Cogent|Verizon|Comcast|Deutsche Telekom|Telekom"
    r"|Vodafone|Hetzner|OVH(?:cloud)?|Digital ?Ocean|Docker ?Hub|JFrog|Datadog|Okta|Auth0|Salesforce|Zendesk"
    r"|CrowdStrike|Heroku|Vercel|Netlify)(?:['’]s)?\b(?![/`-]|\.\w)"
)
_TRADE = (
    r"(?:third[- ]?party|upstream|external|cloud|hosting|network|transit|internet|DNS|CDN|e-?mail|SMS|payment|telecom"
    r"|infrastructure|service|model|AI|data ?cent(?:er|re)|hardware|software|storage|connectivity)"
)
_PROVIDER = r"(?:provider|vendor|supplier|hoster|carrier|partner)(?:s|['’]s|s['’])?\b"
_PARTY = (
    rf"(?:(?:{_TRADE} ){{1,3}}{_PROVIDER}"
    r"|(?:third[- ]?party|external|partner)(?:['’]s)? (?:services?|dependenc(?:y|ies)|networks?|systems?|tools?|API"
    r"|librar(?:y|ies)|configuration|software|components?|outage|issue|incident|failure|change)\b"
    r"|third part(?:y|ies)\b"
    rf"|(?:our|the|this|that|a|one of our) (?:{W} )?{_PROVIDER}"
    rf"|{_VENDOR})"
)
_CAUSE = (
    r"(?:due to|caused (?:due to|by)|because(?: of)?|as a result of|result(?:ed|ing|s)? from|stem(?:s|med|ming)? from"
    r"|originat(?:ed|es|ing) (?:from|in|at|with)|triggered by|traced (?:back )?to|attributed to|owing to"
    r"|(?:root )?cause (?:was|is))\b"
)
_FAULT = (
    r"(?:outages?|issues?|incidents?|problems?|failures?|faults?|errors?|degradations?|disruptions?|interruptions?"
    r"|downtime|misconfigurations?|bugs?|instability|faulty deployment)\b"
)
_AT = r"(?:with|at|in|on|from|by|of|within|related to)"
_PERSON = (
    r"(?:engineer|employee|developer|operator|admin(?:istrator)?|colleague|contractor|technician|staff(?: member)?"
    r"|intern|team|department)s?"
)
_CUSTOMER = r"(?:customer|user|client|tenant)(?:s|['’]s|s['’])?"
_BY_MISTAKE = r"(?:accidentally|mistakenly|inadvertently|erroneously|wrongly|carelessly)"

_BLAME = (
    phrase(
        rf"""
        {_CAUSE}{gap(70)}\b{_PARTY}
        {_FAULT} (?:(?!working|and|we)\w{{1,20}} ){{0,3}}{_AT} (?:(?:our|an?|the) )?{_PARTY}
        (?:change|upgrade|update|deployment|maintenance)s? (?:{W} )?(?:by|from|in) (?:(?:our|an?|the) )?{_PARTY}
        {_PARTY}{gap(15, "we")}\b(?:is|are|continues? to) (?:{W} ){{0,3}}?(?:recover|work(?:ing)? (?:on|to|through)\b)
        wait(?:ing)? (?:on|for) {_PARTY}
        {_PARTY}{gap(40, "to|we|if|and|or")}\b(?:experienc(?:es|ed|ing)|suffer(?:s|ed|ing)|(?:is|are|went) down\b)
        {_PARTY}{gap(40, "to|we|if|and|or")}\b(?:fail(?:s|ed|ing)|caus(?:ed|es|ing)|broke|degraded|{_FAULT})\b
        {_PARTY}{gap(40, "to|we|if|and|or")}\b(?:is (?:{W} )?recovering|change (?:resulted|caused|led))\b
        """
    ),
    phrase(
        rf"""
        (?:human|operator|user|customer|administrator|admin) (?:error|mistake)s?\b
        {_PERSON} (?:{W} ){{0,2}}?{_BY_MISTAKE} \w{{2,20}}(?:ed|t)\b
        {_PERSON} (?:{W} ){{0,2}}?(?:forgot|neglected|failed to|misconfigured|overlooked|broke|caused)\b
        {_PERSON} (?:{W} ){{0,2}}?(?:messed|screwed) up\b
        (?:a|an|one|single|certain|some) (?:{W} ){{0,2}}{_CUSTOMER} (?:{W} )?(?:caused|abused|misused|overloaded)\b
        (?:abusive|misbehaving|badly[- ]behaved|malicious) (?:user|customer|client|tenant|account)s?\b
        {_CAUSE}{gap(40)}\b(?:a|one|single|specific) (?:{W} )?{_CUSTOMER} (?:{W} )?(?:traffic|usage|requests?)\b
        {_CAUSE}{gap(40)}\b(?:a|one|single|specific) (?:{W} )?{_CUSTOMER} (?:{W} )?(?:misuse|abuse|errors?|mistakes?)\b
        """
    ),
    phrase(
        r"""
        to blame\b
        at fault\b
        (?:their|his|her) (?:own )?fault\b
        (?:is|was|are|were) the fault of\b
        blam(?:ed?|ing) (?:the|our|on|an?|it)\b
        negligen(?:t|ce)\b
        careless(?:ness)?\b
        incompeten(?:t|ce)\b
        """
    ),
)

# --- promised end: an estimate of when it will be over ----------------------------------------------------------

_NUMBER = (
    r"(?:~ ?)?(?:\d{1,3}(?:[.,]\d{1,2})?(?: ?(?:-|–|to) ?\d{1,3}(?:[.,]\d)?)?|an?|one|two|three|four|five|six|eight|ten"
    r"|twelve|fifteen|twenty|thirty|forty|half an|a few|few|several|a couple(?: of| more)?|a few more|another)"
)
_SPAN = (
    rf"{_NUMBER} ?(?:(?:business|working|more|additional) )?"
    r"(?:minutes?|mins?|m|hours?|hrs?|h|days?|weeks?)\b(?:\(s\))?"
)
_CLOCK = (
    r"(?:\d{1,2}[:.h]\d{2}|\d{1,2} ?[ap]\.?m\b|noon|midnight|(?:the )?end of (?:the |this )?(?:day|business|week|hour"
    r"|month)|EOD|EOB|COB|tomorrow|tonight|this (?:morning|afternoon|evening)"
    r"|(?:mon|tues|wednes|thurs|fri|satur|sun)day)"
)
_ABOUT = (
    r"(?:(?:about|approximately|approx\.?|around|roughly|under|less than|at most|up to|just over|the next"
    r"|another|between) ){0,3}"
)
_BY_WHEN = (
    rf"(?:(?:within|in|by|before|until|over|no later than|at|for) {_ABOUT}"
    rf"(?:{_SPAN}|{_CLOCK}|the (?:next )?(?:hour|day)\b)|tomorrow\b|tonight\b|later today\b)"
)
_WILL = (
    r"(?:will|['’]ll|should(?! (?:have|not|no longer)\b)|expect(?:s|ing)?|(?<!was\s)(?<!were\s)expected"
    r"|anticipat(?:e|es|ed|ing)|estimat(?:e|es|ed|ing)|aim(?:s|ing)?|hop(?:e|es|ing)|plan(?:s|ning)? to|going to"
    r"|on track|intend)\b"
)
_OVER = (
    r"(?:fix(?:ed)?|resolv(?:e|ed|ing)|resolution|restor(?:e|ed|ation)|recover(?:s|y|ed)?|back (?:up|online|to normal"
    r"|in service)|up again|complet(?:e|ed|ely|ion)|clear(?:ed|s)?|mitigat(?:e|ed|ion)|finish(?:ed)?|done|over"
    r"|operational|available again|deployed|roll(?:ed)? ?out|rollout|caught up|lifted|repaired|processed"
    r"|working again|return(?:ing|ed)? to (?:normal|nominal))\b"
)
_SOON = r"(?:shortly|soon|momentarily|any (?:minute|moment)|in no time|in the near future)\b"
_NEWS = r"updat|inform|report|news|communicat|post\b|share|messag|let you|know\b|monitor|if\b|until\b|once\b"

_PROMISED_END = (
    phrase(
        rf"""
        {_WILL}{gap(80, _NEWS)}\b{_OVER}{gap(50, _NEWS)}\b{_BY_WHEN}
        {_WILL}{gap(80, _NEWS)}\btake {_ABOUT}{_SPAN}
        {_WILL}{gap(40, _NEWS)}\b(?:fixed|resolved?|restored|recover(?:ed|y)?|caught up){gap(20, _NEWS)}\b{_SOON}
        {_WILL}{gap(40, _NEWS)}\b(?:back|return(?:ing)?) (?:up|online|to (?:normal|nominal)){gap(20, _NEWS)}\b{_SOON}
        """
    ),
    phrase(rf"{_BY_WHEN},?{gap(50, _NEWS)}\b{_WILL}{gap(50, _NEWS)}\b{_OVER}"),
    phrase(
        rf"""
        (?:estimated|expected|anticipated) (?:time|duration|completion)\b{gap(60, _NEWS)}(?:{_SPAN}|{_CLOCK})
        (?:estimated|expected|anticipated) (?:resolution|recovery|fix)\b{gap(60, _NEWS)}(?:{_SPAN}|{_CLOCK})
        ETA\b(?: ?[:=~≈-] ?| (?:for|to|of|is|the|a|within|in|by)\b| {W} is\b){{0,4}} ?{_ABOUT}(?:{_SPAN}|{_CLOCK})
        (?:recovery|restoration|resolution|a fix) {_BY_WHEN}
        {_OVER} (?:is|are) (?:{W} )?(?:expected|anticipated|estimated|planned){gap(40, _NEWS)}\b{_BY_WHEN}
        """
    ),
)

# --- guesses and admissions --------------------------------------------------------------------------------------

_HEDGE = r"(?:probably|presumably|possibly|perhaps|maybe|likely|potentially|supposedly|apparently|seemingly)"
_SOURCE = r"(?:caused|due to|the (?:root )?cause|related to|triggered|(?:the|a) result of|a cause|because)\b"
_SEEMS = r"(?:appears?|seems?|looks?|believed|thought|suspected) (?:to (?:be|have been) |to |like |that )"
_OWN_WORK = (
    rf"(?:that )?we(?:['’]ve| have|['’]re| are)? (?:{W} )?"
    r"(?:found|identified|resolved|fixed|mitigated|addressed|located|restored)"
)

_GUESS = (
    phrase(
        rf"""
        {_HEDGE} (?:{W} ){{0,3}}?{_SOURCE}
        (?:is|are|was|were) (?:most |very )?(?:probably|presumably|possibly|perhaps|likely) (?:an?|the|our|in|from)\b
        (?:might|may|could) (?:also |well )?(?:be|have been) (?:{W} )?{_SOURCE}
        {_SEEMS}(?:{W} ){{0,4}}?(?:caused|due to|related to|triggered|contribut|result|stem|the cause)
        we (?:{W} )?(?:think|suspect|assume|guess|suppose|believe)\b(?! {_OWN_WORK})
        (?:our|the) (?:best |current |working )?(?:guess|suspicion|assumption|hypothesis|theory) is\b
        (?:best|educated) guess\b
        (?:possible|potential|probable|suspected|likely) (?:root )?(?:causes?|culprit|reason|source)\b
        (?:probably|presumably)\b
        """
    ),
)

_SORRY = rf"(?:apologi[sz]e|apolog(?:y|ies)|sorry)(?: {W}){{0,3}}"
_ADMISSION = (
    phrase(
        rf"""
        our (?:own )?(?:fault|mistake|oversight|negligence)\b
        our (?:own )?(?:error|failure) (?:caused|led|in|to)\b
        (?:mistake|error|failure|fault|oversight|omission) (?:on|from) our (?:part|side|end)\b
        we (?:have |had |also )?(?:{_BY_MISTAKE} )?(?:caused|broke|misconfigured|neglected|forgot|overlooked)\b
        we (?:have |had )?(?:messed|screwed) up\b
        we (?:have |had )?{_BY_MISTAKE} \w{{2,20}}\b
        we (?:have |had )?made an? (?:{W} )?(?:mistake|error)\b
        we (?:have |had )?failed (?:to|you|our)\b
        we should (?:have|not have)\b
        we let you down\b
        fell short of (?:our|the|your)\b
        we (?:{W} )?(?:take|accept|assume|bear|acknowledge) (?:{W} ){{0,2}}(?:responsibility|liability|blame|fault)\b
        we(?: are|['’]re) (?:{W} )?(?:responsible|liable|at fault|to blame) for (?:this|the|your|any|these|all)\b
        (?:liable|liability)\b
        (?:breach|violat)(?:ed|es|ion)? (?:of )?(?:our|the|your) (?:{W} )?(?:contracts?|SLAs?|agreements?)\b
        (?:we|you) (?:will|['’]ll|are going to|can) (?:be )?(?:compensat|refund|reimburs)\w{{0,8}}\b
        (?:SLA|service) credits?\b
        compensation for\b
        {_SORRY} for our (?:{W} )?(?:mistake|error|failure|fault|oversight)\b
        {_SORRY} for (?:causing|having (?:caused|failed|lost)|failing|losing)\b
        """
    ),
)

# --- what a complete message says --------------------------------------------------------------------------------

_BE = r"(?:is|are|was|were|been|now|fully)"
_EFFECT = phrase(
    rf"""
    (?:degrad|delay|slow|fail|inaccess|disrupt|interrupt|laten|intermittent|impact|affect|incorrect|wrong)
    (?:errors?|stalled|hung|frozen|disabled|expired|longer|improvements?)\b
    (?:overload|mistaken|erroneous|unexpected)
    not \w{{1,20}}ing\b
    (?:experienc|encounter|see|hav)(?:ing|e|s)? (?:{W} ){{0,2}}(?:issues?|problems?|trouble)\b
    (?:connection|connectivity|performance|access|login) (?:issues?|problems?)\b
    (?:un|not )(?:avail|able|usable|access|respons|reliab)
    (?:can ?not|could not|unable|missing|lost|stuck|stale|broken?|lag|limited|exceptions?|downtime|outages?)\b
    (?:can|could|wo|is|are|was|were|do|does|did)n?['’]t\b
    (?:is|are|was|were|do|does|did|may|been) not\b
    (?:is|are|was|were|goes|went) (?:{W} )?(?:down|offline|paused|disabled|blocked)\b
    (?:time ?outs?|timing out|timed out|paus(?:e|ed|ing)|drop(?:s|ped|ping)?)\b
    (?:queue|backlog|reject|capacity|connectivity|recover|restor|normal)
    (?:available|operational|increased|elevated)\b
    work(?:s|ing)\b(?! (?:on|to|with|toward|hard|quickly|around|through))
    succe(?:ss|ed)
    (?:[45]\d\d|[45]xx)\b
    (?:out of|up to) (?:sync|date)
    long (?:wait|time|run)
    may (?:see|notice|experience)
    issues? (?:with|in|on|connecting|starting|related|creating|loading|viewing|accessing)\b
    (?:problems?|trouble|difficult(?:y|ies)) (?:with|in|on|connecting|starting|creating|loading|viewing|accessing)\b
    increases? in\b
    no (?:effects?|consequences?)\b
    (?:is|was|been) resolved\b
    """
)
_RECOVERED = phrase(
    rf"""
    (?:resolved|to resolve|recover(?:y|ed)|restored|mitigat(?:ed|ion|e|ing)|remediated|healthy|operational|available)\b
    (?:between|from)\b{gap(40)}\d{{1,2}}:\d{{2}}{gap(20)}(?:and|to|until|through|[-–]){gap(40)}\d{{1,2}}:\d{{2}}
    (?:lasted|lasting|persisted)\b
    until {gap(20)}\d{{1,2}}:\d{{2}}
    normal(?:ly|ized|ised)?\b
    {_BE} (?:{W} )?(?:fixed|repaired|reverted|corrected|solved|over)\b
    (?:we|and|have) (?:fixed|solved|corrected|repaired)\b
    work(?:s|ing)? (?:again|as (?:before|expected|usual))
    back (?:up|online|to|in service)
    (?:as|like) (?:fast|before|usual)\b
    (?:complet(?:e|ed|ely)|ended|subsided|ceased|stopped|drained|no longer)\b
    succe(?:ss|ed)
    roll(?:ed|ing) back\b
    revert(?:ed|ing)\b
    """
)
_THINGS = (
    r"(?:data|information|messages?|records?|files?|events?|jobs?|notifications?|work|history|changes|uploads?"
    r"|items?|pushes|webhooks?|deliveries|runs?)"
)
_GONE = r"(?:lost|deleted|corrupted|destroyed|discarded|unrecoverable)\b"
_LASTING = phrase(
    rf"""
    {_THINGS}(?: {W}){{0,4}} (?:was|were|are|is|been|be) (?:not |permanently )?{_GONE}
    (?:lost|lose|losing|loss of|corruption of|deletion of|missing)(?: {W}){{0,3}} {_THINGS}\b
    (?:data|information)[- ](?:loss|corruption|integrity)\b
    no(?:thing|ne)? (?:{W} ){{0,7}}?(?:lost|dropped)\b
    lasting (?:damage|effects?|consequences?|impact|harm)\b
    (?:permanent(?:ly)?|irrevocabl[ey]|irreversibl[ey]|unrecoverable|irrecoverabl[ey])\b
    (?:will|can|could) not be (?:recovered|restored|re-?processed|re-?delivered|replayed|retried)
    (?:all|every|any|delayed|queued|missed)(?: {W}){{0,9}} (?:been|were|was) (?:{W} )?(?:re-?)?(?:processed|delivered)\b
    (?:all|every|any|delayed|queued|missed)(?: {W}){{0,9}} (?:been|were|was) (?:{W} )?(?:retried|replayed|restored)\b
    """
)
_LINGERING = phrase(
    rf"""
    (?:linger|backlog|queue|subsequent)
    (?:residual|remain(?:s|ing|ed)?|completely|entirely|unaffected|permanently)\b
    (?:may|might|will|could) (?:{W} )?still\b
    still (?:be|see|experienc|affect|process|recover|delay)
    no (?:{W} )?(?:further|more|other|additional|longer|remaining|ongoing|customer|user)\b
    not have (?:{W} ){{0,2}}impact\b
    fully (?:recover|restored|resolved|operational|mitigated|functional|healthy)
    full (?:recovery|service|functionality|restoration|resolution)
    (?:operat|runn|function|work|perform|return|restor|resum|back)\w{{0,5}} (?:{W} ){{0,2}}normal
    normal (?:operation|service|level|performance|traffic|functionality)
    (?:may|might|will) (?:need|have|require)\b
    need(?:s)? to\b
    (?:catch(?:ing)?|caught) up
    as (?:before|usual|expected)\b
    all (?:{W} ){{0,3}}(?:recovered|restored|resolved|processed|operational|normal|healthy|services)\b
    """
)
_NEXT_UPDATE = phrase(
    rf"""
    (?:update[sd]?|inform|report(?:s)? back|news|post)\b{gap(60)}\b(?:{_BY_WHEN}|every {_SPAN}|hourly\b)
    (?:{_BY_WHEN}|every {_SPAN}){gap(40)}\bupdate
    """
)

# --- words of those who run it --------------------------------------------------------------------------------------

_JARGON = phrase(
    r"""
    (?:HTTP[ /]?[45]\d\d|[45]xx|p(?:50|9[059]|99\.9)|IOPS|QPS|RPS|SLOs?|MTTR|TTLs?|MTU|BGP|ECMP)\b
    OOM(?:[- ]?kill\w{0,4})?\b
    (?:k8s|Kubernetes|kubelet|etcd|Redis|Memcached?|Postgres(?:QL)?|MySQL|Kafka|RabbitMQ|Elasticsearch|ZooKeeper)\b
    (?:pod|node)s? (?:restart|evict|crash)\w{0,4}
    (?:crash ?loop\w{0,8}|fail(?:ed|ing)?[- ]?over|replica(?:tion)? lag|read replicas?|thundering herd)\b
    (?:back ?pressure|connection pools?|dead ?locks?|split[- ]brain|quorum|shard(?:s|ing)?|segfaults?)\b
    (?:garbage collect(?:ion|or)|heap|race conditions?|circuit breakers?|NAT gateways?|cron ?jobs?)\b
    (?:canary deploy(?:ment)?s?|feature flags?|rate limiters?|load balancers?|health probes?|ingress)\b
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
    abbreviations=frozenset(
        ("e.g.", "i.e.", "approx.", "ca.", "vs.", "no.", "mr.", "mrs.", "ms.", "dr.", "st.", "incl.", "etc.")
    ),
    hard_lix=60.0,
    replacements={
        "secret": "[removed]",
        "internal-name": "an internal system",
        "ticket": "an internal ticket",
        "file-path": "an internal file",
        "stack-trace": "[technical output removed]",
    },
    additions={
        "lasting-unsaid-at-end": ("consequences.lasting", "Not yet known."),
        "lingering-unsaid": ("consequences.expected", "Whether anything is still to be felt is not yet known."),
    },
)
