"""How the offline model answers the stages of a build; `clauses.py` reads a requirement by the cards."""
