"""The logic: pure, except channels/, broker/, sandbox/, web/ and commands/. Never imports the Faust edge."""
