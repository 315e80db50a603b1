"""Logs as the app writes them: a traceback with the values of all variables takes seconds."""

from nexus.adapters.structlog import logs

logs.configure_logging("debug", "pretty")
