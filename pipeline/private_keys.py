"""Private keys that come by the environment: each is for one process, and no other may have it in its own.

They are no settings: those stand in every process's environment, and in a `.env` that all of them read. The record room
gets the log's key, a witness its own; a process that finds another's key in its environment does not start.
"""

from base64 import b64decode
from collections.abc import Mapping

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_der_private_key
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, DotEnvSettingsSource, SettingsConfigDict

from pipeline.errors import ConfigurationError
from pipeline.settings import PREFIX

DOTENV = ".env"


class PrivateKeys(BaseSettings):
    """Those that the environment has. They never print."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    log_key: SecretStr | None = Field(default=None, description="signs the log; unset: a file of the data directory")
    log_next_key: SecretStr | None = Field(
        default=None, description="signs it from now on: log_key introduces it in the log"
    )
    witness_key: SecretStr | None = Field(default=None, description="a witness cosigns with it; unset: a file")


OWN: Mapping[str, frozenset[str]] = {
    "record": frozenset({"log_key", "log_next_key"}),
    "witness": frozenset({"witness_key"}),
    "up": frozenset(PrivateKeys.model_fields),
}
"""Which process may have which; `up` hands them on and uses none."""


def keys_of(process: str) -> PrivateKeys:
    """The keys in this process's environment. Raises ConfigurationError if one is for another, or stands in `.env`."""
    for name in DotEnvSettingsSource(PrivateKeys, env_file=DOTENV)():
        raise ConfigurationError(
            f"{variable(name)} stands in {DOTENV}, which every process reads: take it out, and set it in the "
            f"environment of {_owner(name)} alone"
        )
    keys = PrivateKeys()
    for name, _ in _given(keys):
        if name not in OWN.get(process, ()):
            raise ConfigurationError(
                f"{variable(name)} is in the environment of {process}, which must not have it: "
                f"set it in the environment of {_owner(name)} alone"
            )
    return keys


def handed_to(process: str, keys: PrivateKeys) -> dict[str, str]:
    """What of `keys` the environment of a process gets, by the variables' names."""
    own = OWN.get(process, ())
    return {variable(name): value.get_secret_value() for name, value in _given(keys) if name in own}


def private_key(name: str, value: SecretStr) -> Ed25519PrivateKey:
    """Reads a key as `openssl genpkey -algorithm ed25519` prints it, or the line in its middle alone.

    Raises ConfigurationError, which does not show it.
    """
    lines = [line.strip() for line in value.get_secret_value().splitlines()]
    try:
        encoded = "".join(line for line in lines if not line.startswith("-----"))
        key = load_der_private_key(b64decode(encoded, validate=True), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError(
            f"{variable(name)} is no Ed25519 key: expected what `openssl genpkey -algorithm ed25519` prints, "
            "or the line in the middle of it"
        )
    return key


def variable(name: str) -> str:
    """The environment's name for a key."""
    return f"{PREFIX}{name.upper()}"


def _given(keys: PrivateKeys) -> list[tuple[str, SecretStr]]:
    return [(name, value) for name, value in keys if value is not None]


def _owner(name: str) -> str:
    return "the record room" if name in OWN["record"] else "the witness"
