"""Which model answers: the providers that are known by name, the file `models.toml`, and calls that show what a model can do."""
