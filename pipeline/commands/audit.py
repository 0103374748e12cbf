"""`tocsin audit`: the sealed log verified, asked and handed on. Each command is a module of `auditing`."""

import typer

from pipeline.commands.auditing import exporting, knowing, proving, rotating, searching, showing, verifying, witnessing

app = typer.Typer(no_args_is_help=True, help="The sealed log: verify it, ask it, prove from it, hand it on.")
app.command("verify")(verifying.verify_command)
app.command("show")(showing.show_command)
app.command("search")(searching.search_command)
app.command("who-knew")(knowing.who_knew_command)
app.command("prove")(proving.prove_command)
app.command("export")(exporting.export_command)
app.command("rotate-key")(rotating.rotate_command)
app.command("witness")(witnessing.witness_command)
