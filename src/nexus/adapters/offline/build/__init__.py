"""How the offline model answers the stages of a build, one file a stage; `needs.py` finds what serves a requirement."""
