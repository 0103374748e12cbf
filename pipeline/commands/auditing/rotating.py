"""`tocsin audit rotate-key`: another key signs the log from now on."""

import typer

from pipeline.audit.keys import key_path, make_key, next_key_path, public_key_path
from pipeline.errors import ConfigurationError
from pipeline.private_keys import variable
from pipeline.settings import Settings


def rotate_command() -> None:
    """Have another key sign the log: the present one introduces it, in the log itself, and is then gone.

    The record room does it within a second, or when it starts.
    """
    settings = Settings()
    path = next_key_path(settings.data_dir)
    if path.exists():
        raise ConfigurationError(f"{path} waits already: the record room introduces it when it runs")
    if public_key_path(settings.data_dir).exists() and not key_path(settings.data_dir).exists():
        raise ConfigurationError(
            "the log's key is in no file here: it comes by the environment of the record room. Give that the new key "
            f"as {variable('log_next_key')} beside {variable('log_key')} and start it again; once "
            f"{public_key_path(settings.data_dir)} has a line for it, it takes the other's place there"
        )
    make_key(path)
    typer.echo(f"a new key waits in {path}; the record room introduces it within a second, or when it starts")
    typer.echo(f"hand out {public_key_path(settings.data_dir)} anew then: it holds a line for each key, in order")
