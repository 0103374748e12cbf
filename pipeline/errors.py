"""Every error that Tocsin raises on purpose.

TocsinError
├── ConfigurationError      a setting is missing or wrong; says which and what to set
│   └── Unreadable          something sealed does not open with this secret (vault)
├── BrokerError             the broker cannot be used
│   ├── BrokerUnreachable   nobody answers at the address
│   ├── TopicMismatch       a topic exists, but not as declared
│   └── AlreadyRunning      the room, or the broker, runs already on this data directory
├── PolicyError             a policy document is wrong; names file, line and fix
├── NotFound                what was asked for does not exist
├── AuditError              the log cannot be read, or an append was not where it was expected
│   ├── NoteError           a checkpoint is no signed note (audit.note)
│   └── ArchiveUnreachable  the archive cannot be read or written now
├── ProjectionError         the SQL projection cannot be read or made
├── BadAddress              no address that can be reached (addresses)
├── BadFile, Refused        a file of subscribers, or a line of it, cannot be taken (registrations)
├── RecordingError          a file of recorded incidents cannot be read (recorded)
├── Unanswered              an order was taken, but nothing was decided on it in time (commands.answering)
├── NotObeyed               an order on parked messages was taken, but not done in time (commands.deliveries)
├── NotAsShown              an approval would name other words than those that can be shown (commands.orders)
├── NotKept                 a dead letter's record is nowhere in full any more (commands.deadletters)
└── Unfinished              not everything was told and sealed within the time given (commands.completion)

(`schemas.codec.Undecodable` stands apart: it is about one record and always ends as a dead letter.)
"""


class TocsinError(Exception):
    """Base of all; its text is for the person who can act."""


class ConfigurationError(TocsinError):
    """A setting is missing or wrong."""


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


class ArchiveUnreachable(AuditError):
    """The archive cannot be read or written now."""


class ProjectionError(TocsinError):
    """The SQL projection cannot be read or made."""
