"""The commands of `tocsin audit`, a module each; `pipeline/commands/audit.py` lists them."""
