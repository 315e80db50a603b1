"""How messages become tool calls and results become sentences, one file a family; `registry.py` lists them all."""
