"""`tocsin audit rotate-key`: another key signs the log from now on."""

import typer

from pipeline.audit.checkpoint import make_key, next_key_path, public_key_path
from pipeline.errors import ConfigurationError
from pipeline.settings import Settings


def rotate_command() -> None:
    """Have another key sign the log: the present one introduces it, in the log itself, and is then gone.

    The record room does it within a second, or when it starts.
    """
    settings = Settings()
    path = next_key_path(settings.data_dir)
    if path.exists():
        raise ConfigurationError(f"{path} waits already: the record room introduces it when it runs")
    make_key(path)
    typer.echo(f"a new key waits in {path}; the record room introduces it within a second, or when it starts")
    typer.echo(f"hand out {public_key_path(settings.data_dir)} anew then: it holds a line for each key, in order")
