"""Every setting, read once from the environment (`TOCSIN_…`) or a `.env` file beside the process."""

import os
from pathlib import Path
from typing import Literal

import platformdirs
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from schemas.topics import DEFAULT_PARTITIONS

PREFIX = "TOCSIN_"
REPOSITORY = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """What can be set. Secrets never print."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_file=".env", extra="ignore", frozen=True)

    data_dir: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("tocsin")),
        description="keys, the embedded broker's data, sealed segments, run files",
    )

    broker: str | None = Field(
        default=None, description="kafka://host:port[,host:port]; unset: the embedded broker in the data directory"
    )
    broker_security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    broker_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    broker_sasl_username: str | None = None
    broker_sasl_password: SecretStr | None = None
    broker_tls_ca: Path | None = Field(default=None, description="PEM bundle; unset: the system's")
    broker_tls_cert: Path | None = None
    broker_tls_key: Path | None = None
    partitions: int = Field(default=DEFAULT_PARTITIONS, ge=1, description="of every topic that is partitioned")
    replication: int = Field(default=1, ge=1, description="copies of every topic; 3 on a real cluster")

    witness_url: str | None = Field(
        default=None, description="where a witness cosigns checkpoints; its key is in keys/witness.pub; unset: nobody"
    )
    archive: str | None = Field(
        default=None, description="where the log is copied to: a folder, or s3://bucket/prefix; unset: nowhere"
    )
    log_retention_days: int | None = Field(
        default=None,
        ge=1,
        description="how long Kafka keeps the log, the renderings, and (90 days at least) what ended; unset: for ever",
    )
    archive_behind_s: float = Field(
        default=300.0, ge=10, description="how long the archive may be out of reach before sealing stops, in seconds"
    )

    database_url: SecretStr | None = Field(
        default=None,
        description="postgresql://[user[:password]@]host/name for the projection; unset: SQLite in the data directory",
    )

    metrics_host: str = "127.0.0.1"
    metrics_port: int | None = Field(
        default=None, ge=0, le=65535, description="where the projector serves /metrics; unset: nowhere; 0: a free one"
    )

    sandbox: bool = Field(default=False, description="accept virtual clocks on the inputs; never in production")
    secret: SecretStr | None = Field(
        default=None, description="at least 32 characters; unset: a file of mode 0600 in the data directory"
    )
    policy_dir: Path = Field(
        default=REPOSITORY / "deploy" / "policies" / "small-saas", description="the documents to publish"
    )

    operator: str | None = Field(
        default=None, description="as whom `tocsin incident` signs: a name that has a key in the data directory"
    )

    smtp_url: SecretStr | None = Field(
        default=None, description="smtp://[user:password@]host:port, smtps:// for TLS from the start, smtp+starttls://"
    )
    mail_from: str = "Service status <status@localhost.localdomain>"
    mail_return_path: str | None = Field(
        default=None, description="envelope sender for bounces; unset: mail_from's address"
    )
    smtp_connections: int = Field(
        default=8,
        ge=1,
        le=256,
        description="to the relay at once, at most; twice as many windows of 64 mails are under way",
    )
    smtp_per_s: float | None = Field(default=None, gt=0, description="mails a second at most; unset: no limit")
    smtp_domain_per_s: float | None = Field(default=None, gt=0, description="the same to one recipient domain")
    smtp_domain_at_once: int | None = Field(
        default=None, ge=1, description="mails to one recipient domain under way at most; unset: no limit"
    )
    dkim_key: Path | None = Field(default=None, description="RSA private key, PEM; unset: the relay signs, or nobody")
    dkim_selector: str | None = Field(default=None, description="the name that the public key has in the DNS")
    bounce_host: str = "127.0.0.1"
    bounce_port: int | None = Field(
        default=None, ge=0, le=65535, description="where mail to the return path is taken in; unset: nowhere; 0: any"
    )
    imap_url: SecretStr | None = Field(
        default=None, description="imaps://user:password@host/folder, for `tocsin receipts imap`"
    )

    twilio_account_sid: str | None = None
    twilio_auth_token: SecretStr | None = None
    twilio_from: str | None = Field(default=None, description="E.164 number, or")
    twilio_messaging_service_sid: str | None = None
    twilio_base_url: str | None = Field(default=None, description="another host than Twilio's, for the sandbox")

    sms_per_s: float = Field(
        default=10.0,
        gt=0,
        description="messages a second that the number, or the service's pool, may send, over all workers",
    )

    sms_cap_per_incident: int = Field(default=20_000, ge=0, description="SMS segments; more wait for a person's order")
    sms_cap_per_day: int = Field(default=50_000, ge=0, description="SMS segments of all incidents of a day (UTC)")

    x_consumer_key: SecretStr | None = None
    x_consumer_secret: SecretStr | None = None
    x_access_token: SecretStr | None = None
    x_access_token_secret: SecretStr | None = None
    x_base_url: str | None = Field(default=None, description="another host than X's, for the sandbox")
    x_posts_per_quarter_hour: int = Field(default=100, ge=1, description="what X allows the account in 15 minutes")
    x_cap_per_incident: int = Field(default=100, ge=0, description="posts; more wait for a person's order")
    x_cap_per_day: int = Field(default=300, ge=0, description="posts on all incidents of a day (UTC)")
    x_posts_per_day: int = Field(default=10_000, ge=1, description="what X allows the app in 24 hours")

    webhooks: bool = Field(default=False, description="send signed webhooks to subscribers who have one")
    webhook_private_addresses: bool = Field(
        default=False, description="let webhooks go to this machine and to private networks as well"
    )
    apprise: bool = Field(
        default=False, description="send by way of Apprise: chat, push and more (the extra `apprise`)"
    )

    public_url: str = Field(
        default="http://127.0.0.1:8025",
        description="where the web service is reached from outside: links and callbacks",
    )
    web_host: str = "127.0.0.1"
    web_port: int = Field(default=8025, description="0: a free one, chosen at start")

    signup_audience: str | None = Field(
        default=None, description="what those hear who subscribe by the web form; unset: there is no form"
    )
    signup_sms: bool = Field(default=False, description="let people give a number there as well: each costs a text")
    signup_per_client_per_hour: int = Field(default=20, ge=2, description="requests of one client, at most")
    signup_per_hour: int = Field(default=300, ge=2, description="requests of all clients together, at most")

    worker_id: str = Field(default="1", description="static member name of a worker within its room")
    worker_number: int = Field(
        default=1, ge=1, description="which of several workers of one room under one name, as `tocsin up` numbers them"
    )
    deliver_workers: int = Field(
        default=1,
        ge=1,
        le=64,
        description="processes of the deliver room that `tocsin up` starts; more than one needs a Kafka of your own",
    )
    session_timeout_s: float = Field(default=30.0, gt=0)
    retry_base_s: float = Field(default=5.0, gt=0, description="the first back-off, in seconds; doubled each time")
    unknown_hold_s: float = Field(
        default=60.0, gt=0, description="how long to wait for proof after an attempt whose end nobody knows, in seconds"
    )
    sealed_within_s: float = Field(
        default=60.0, gt=0, description="how long the log may stand still, in seconds, before nothing is sent any more"
    )
    failpoint: str | None = Field(
        default=None,
        description="name[:nth], or @ for what run/failpoint says: SIGKILL oneself there; for the chaos tests only",
    )


def worker_name(room: str, number: int) -> str:
    """What the process of a room's worker is called on this machine."""
    return room if number == 1 else f"{room}-{number}"


def bare_environment() -> dict[str, str]:
    """Our environment without anything of ours: for a program that has no use for it, and must not know it."""
    return {name: value for name, value in os.environ.items() if not name.upper().startswith(PREFIX)}
