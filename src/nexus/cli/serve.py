"""`nexus serve`: the server itself."""

import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

from nexus.cli.asked import Asked
from nexus.cli.exits import FAILED, OK, Ended
from nexus.cli.importing import hide_modules_from_import

if TYPE_CHECKING:
    from nexus.settings import Settings


def serve(asked: Asked) -> int:
    with hide_modules_from_import(
        "rich"
    ):  # structlog would load it for coloured tracebacks, not printed here: 0.1 s, 3 MB
        from nexus import serving
        from nexus.providers.choice import read_settings
        from nexus.start import find_setting_warnings

    wanted = asked.arguments
    found = read_settings(
        asked.settings_environ, host=wanted.host, port=wanted.port, data_dir=wanted.data_dir, role=wanted.role
    )
    for warning in find_setting_warnings(found):
        asked.output.write_note(f"nexus: {warning}")
    if asked.environ.get("NEXUS_TOKEN") and not found.auth.token:
        asked.output.write_note(
            "nexus: NEXUS_TOKEN is what a client sends; what a server asks for is NEXUS_AUTH__TOKEN."
        )
    if wanted.attached:
        threading.Thread(target=_exit_when_parent_exits, daemon=True).start()
    try:
        note = asked.output.write_note
        serving.run_server(found, ready=lambda url: note(_describe_ready(found, url)))
    except OSError as error:
        reason = error.strerror or str(error)
        raise Ended(FAILED, f"Cannot serve on {found.host}:{found.port} from {found.data_dir}: {reason}.") from error
    return OK


def _describe_ready(found: "Settings", url: str) -> str:
    model = found.model
    answers = "offline, no AI" if model.provider == "offline" else f"{model.name} at {model.base_url}"
    if not url:
        return f"nexus is ready to run builds (model: {answers}; stop: Ctrl-C)"
    return f"nexus is ready at {url} (model: {answers}; docs: {url}/docs; stop: Ctrl-C)"


def _exit_when_parent_exits() -> None:
    """Whoever started this process holds the other end of its stdin: when that is gone, this ends like on SIGTERM."""
    os.read(sys.stdin.fileno(), 1)
    os.kill(os.getpid(), signal.SIGTERM)
