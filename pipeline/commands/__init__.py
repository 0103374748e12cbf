"""The commands of `tocsin`, a module each."""
