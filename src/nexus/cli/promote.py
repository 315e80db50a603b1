"""`nexus promote`: copies a whole store into one of the other kind, compares both, and goes on where it was killed."""

import asyncio
import time
from contextlib import AsyncExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from nexus.cli.asked import Asked
from nexus.cli.exits import FAILED, OK, USAGE, Ended
from nexus.cli.output import Output
from nexus.providers.choice import read_settings
from nexus.settings import Settings
from nexus.start import AWS_ADVICE

if TYPE_CHECKING:
    from nexus.composition.promotion import PromotionRequest, StoreComparison

REPORT_SECONDS = 2.0
SHOWN_DIGITS = 16
HEADINGS = ("table", "rows", "sha256", "target rows", "target sha256", "expiring", "equal")


class ProgressNotes:
    """A line for each table, and while that takes long."""

    def __init__(self, output: Output) -> None:
        self._output, self._about, self._count = output, "", 0
        self._last = time.monotonic()

    def report_progress(self, about: str, count: int) -> None:
        now = time.monotonic()
        if about != self._about or now - self._last > REPORT_SECONDS:
            self.write_progress()
            self._last = now
        self._about, self._count = about, count

    def write_progress(self) -> None:
        if self._count:
            self._output.write_note(f"{self._about}: {self._count} copied")


def promote(asked: Asked) -> int:
    from nexus.adapters.structlog.logs import configure_logging
    from nexus.composition.promotion import PromotionRequest
    from nexus.domain.core.failpoints import arm_failpoint

    wanted = asked.arguments
    if wanted.source == wanted.target:
        raise Ended(USAGE, "--from and --to are two kinds of stores.")
    if find_spec("aioboto3") is None:
        raise Ended(USAGE, AWS_ADVICE)
    settings = read_settings(asked.settings_environ, data_dir=wanted.data_dir)
    arm_failpoint(settings.chaos.failpoint)
    configure_logging("warning", settings.log.format)
    files_from = Path(wanted.files_from or settings.files_root).absolute()
    files_to = Path(wanted.files_to or files_from).absolute()
    request = PromotionRequest(wanted.source, wanted.target, files_from, files_to)
    return asyncio.run(_promote_store(asked, settings, request))


async def _promote_store(asked: Asked, settings: Settings, request: "PromotionRequest") -> int:
    from nexus.composition.promotion import open_promotion

    notes = ProgressNotes(asked.output)
    async with AsyncExitStack() as stack:
        promotion = await open_promotion(settings, request, stack, notes.report_progress)
        if not asked.arguments.verify:
            is_resumed = await promotion.copy_store()
            notes.write_progress()
            if is_resumed:
                asked.output.write_note("It went on where one before it ended.")
            asked.output.write_note("All is copied; the stores are compared.")
        compared = await promotion.compare_stores()
        if compared.is_equal and not asked.arguments.verify:
            await promotion.remove_mark()
    _show_comparison(asked.output, compared)
    if not compared.is_equal:
        return _report_difference(asked, compared)
    if not asked.arguments.verify:
        asked.output.write_note(f"Done. Servers on the target need NEXUS_FILES__ROOT={request.files_to}.")
    return OK


def _report_difference(asked: Asked, compared: "StoreComparison") -> int:
    asked.output.write_note(f"nexus: The stores differ in {', '.join(compared.list_differing())}.")
    if not asked.arguments.verify:
        asked.output.write_note(
            "Something wrote in one of them meanwhile. No server starts on the target: empty it, and promote again."
        )
    return FAILED


def _show_comparison(output: Output, compared: "StoreComparison") -> None:
    if output.json:
        output.write_json_document({"equal": compared.is_equal, "tables": compared.tables, "files": compared.files})
        return
    from nexus.cli.tables import format_table

    rows = [
        (
            one.table,
            one.source.rows,
            one.source.sha256[:SHOWN_DIGITS],
            one.target.rows,
            one.target.sha256[:SHOWN_DIGITS],
            f"{one.source.expiring}/{one.target.expiring}",
            "yes" if one.is_equal else "NO",
        )
        for one in compared.tables
    ]
    if files := compared.files:
        source, target = files.source.sha256[:SHOWN_DIGITS], files.target.sha256[:SHOWN_DIGITS]
        equal = "yes" if files.is_equal else "NO"
        rows.append(("files", files.source.files, source, files.target.files, target, "", equal))
    cells = [dict(zip(HEADINGS, map(str, row), strict=True)) for row in rows]
    output.write_line("\n".join(format_table(HEADINGS, cells, output.terminal_width, ["expiring", "target sha256"])))
