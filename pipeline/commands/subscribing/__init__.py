"""What `tocsin subscribers` is made of; `pipeline/commands/subscribers.py` lists the commands."""
