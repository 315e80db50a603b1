"""How the offline model answers the stages of a build, one file a stage; `clauses.py` reads a requirement by the cards."""
