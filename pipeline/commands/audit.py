"""`tocsin audit`: the sealed log verified, asked and handed on. Each command is a module of `auditing`."""

import typer

from pipeline.commands.auditing import exporting, rotating, showing, verifying, witnessing

app = typer.Typer(no_args_is_help=True, help="Verify, show and export the sealed log.")
app.command("verify")(verifying.verify_command)
app.command("show")(showing.show_command)
app.command("export")(exporting.export_command)
app.command("rotate-key")(rotating.rotate_command)
app.command("witness")(witnessing.witness_command)
