"""Every error that Tocsin raises on purpose.

TocsinError
├── ConfigurationError      a setting is missing or wrong; says which and what to set
│   └── SecretMissing       a key or password is needed and nowhere to be found
├── BrokerError             the broker cannot be used
│   ├── BrokerUnreachable   nobody answers at the address
│   ├── TopicMismatch       a topic exists, but not as declared
│   └── AlreadyRunning      the room, or the broker, runs already on this data directory
├── PolicyError             a policy document is wrong; names file, line and fix
├── NotFound                what was asked for does not exist
├── AuditError              the log cannot be read, or an append was not where it was expected
└── Fenced                  another worker owns this partition now: nothing was done, nothing is lost

(`schemas.codec.Undecodable` stands apart: it is about one record and always ends as a dead letter.)
"""


class TocsinError(Exception):
    """Base of all; its text is for the person who can act."""


class ConfigurationError(TocsinError):
    """A setting is missing or wrong."""


class SecretMissing(ConfigurationError):
    """A key or password is needed and nowhere to be found."""


class BrokerError(TocsinError):
    """The broker cannot be used."""


class BrokerUnreachable(BrokerError):
    """Nobody answers at the broker's address."""


class TopicMismatch(BrokerError):
    """A topic exists, but not as declared."""


class AlreadyRunning(BrokerError):
    """The room, or the broker, runs already on this data directory."""


class PolicyError(TocsinError):
    """A policy document is wrong."""


class NotFound(TocsinError):
    """What was asked for does not exist."""


class AuditError(TocsinError):
    """The audit log cannot be read or continued."""


class Fenced(TocsinError):
    """Another worker owns this partition now."""
