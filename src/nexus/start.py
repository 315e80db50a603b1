"""What must hold before a server starts, and what is worth a warning."""

import errno
import os
import shutil
from importlib.util import find_spec
from pathlib import Path

from nexus.domain.core.errors import InvalidInput
from nexus.domain.ports.addresses import is_loopback_address, parse_networks
from nexus.settings import Settings, describe_missing_api_key

SHORTEST_TOKEN = 16
GIT_ADVICE = (
    "Install git (Debian, Ubuntu: apt install git; macOS: xcode-select --install): projects are git repositories."
)
AWS_ADVICE = "NEXUS_TABLES__BACKEND=dynamodb and NEXUS_QUEUE__BACKEND=sqs need the extra aws: pip install 'nexus[aws]'."
REDIS_ADVICE = "Redis needs the extra redis: pip install 'nexus[redis]'."
OTEL_ADVICE = "NEXUS_TRACING__ENDPOINT and OTEL_EXPORTER_OTLP_ENDPOINT need the extra otel: pip install 'nexus[otel]'."
_SHORT = f"NEXUS_AUTH__TOKEN has fewer than {SHORTEST_TOKEN} characters"
_ADVICE = 'make one with python3 -c "import secrets; print(secrets.token_urlsafe())".'
DIRECTORY_ADVICE = "Choose another one with --data-dir, or NEXUS_DATA_DIR."


def check_server_can_start(settings: Settings) -> None:
    """InvalidInput tells all that stands against a start, each with what to do."""
    faults = find_setting_faults(settings)
    if shutil.which("git") is None:
        faults.append(f"There is no git on PATH. {GIT_ADVICE}")
    if fault := find_data_dir_fault(settings.data_directory):
        faults.append(f"{fault}. {DIRECTORY_ADVICE}")
    if faults:
        raise InvalidInput(" ".join(faults))


def find_setting_faults(settings: Settings) -> list[str]:
    """What in the settings alone stands against a start; empty when nothing does."""
    found, reached = [], f"NEXUS_HOST={settings.host} can be reached from other machines"
    if (settings.role != "worker" or settings.metrics.port) and not is_loopback_address(settings.host):
        if not settings.auth.token:
            found.append(f"{reached}: set NEXUS_AUTH__TOKEN, or listen on 127.0.0.1.")
        elif _is_token_too_short(settings):
            found.append(f"{reached}, and {_SHORT}: {_ADVICE}")
    found += find_role_faults(settings)
    try:
        parse_networks(settings.trusted_proxies)
    except ValueError as error:
        found.append(f"NEXUS_TRUSTED_PROXIES is wrong: {error}.")
    if settings.tracing.endpoint and not _is_installed("opentelemetry.exporter.otlp.proto.http"):
        found.append(OTEL_ADVICE)
    return [*found, *find_backend_faults(settings), *filter(None, [describe_missing_api_key(settings.model)])]


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # nor is the package that it belongs to
        return False


def find_backend_faults(settings: Settings) -> list[str]:
    """What the stores and queues that the settings name lack on this machine."""
    found = []
    if settings.uses_aws and find_spec("aioboto3") is None:
        found.append(AWS_ADVICE)
    if settings.uses_redis:
        if not settings.redis.url:
            found.append("NEXUS_EVENTS__BACKEND=redis and NEXUS_QUEUE__BACKEND=arq need NEXUS_REDIS__URL.")
        if find_spec("arq") is None:
            found.append(REDIS_ADVICE)
    return found


def find_role_faults(settings: Settings) -> list[str]:
    """What processes that share their work need, and one that is alone does not."""
    if settings.role == "all":
        return []
    needs = f"NEXUS_ROLE={settings.role} shares its work with other processes and needs"
    wanted = {
        "NEXUS_TABLES__BACKEND=dynamodb: SQLite is the store of one process": settings.tables.backend == "dynamodb",
        "NEXUS_EVENTS__BACKEND=redis: readers follow replies of other processes": settings.events.backend == "redis",
        "NEXUS_QUEUE__BACKEND=arq or sqs: builds run in other processes": settings.queue.backend != "inprocess",
        "NEXUS_SECRET, the same for all: it seals the cursors of lists": bool(settings.secret),
    }
    return [f"{needs} {what}." for what, is_given in wanted.items() if not is_given]


def find_setting_warnings(settings: Settings) -> list[str]:
    """What is allowed on this machine alone, and should not be."""
    is_weak = _is_token_too_short(settings) and is_loopback_address(settings.host)
    return [f"{_SHORT}, so it can be guessed: {_ADVICE}"] if is_weak else []


def find_data_dir_fault(data: Path) -> str:
    """Why nothing can be kept in a directory, or it cannot be made; empty when it can. Changes nothing."""
    try:
        if data.is_dir():
            return _find_access_fault(data, f"The data directory {data} cannot be written by this user")
        if data.is_symlink() and not data.exists():
            return f"The data directory {data} is a link that leads nowhere"
        if data.exists():
            return f"The data directory {data} is a file, not a directory"
        above = next(path for path in data.parents if path.exists())
        if not above.is_dir():
            return f"The data directory {data} lies below {above}, which is a file"
        return _find_access_fault(
            above, f"The data directory {data} cannot be made: this user may not write in {above}"
        )
    except OSError as error:
        return f"The data directory {data} cannot be reached: {error.strerror}"


def _find_access_fault(directory: Path, fault: str) -> str:
    return "" if os.access(directory, os.R_OK | os.W_OK | os.X_OK) else fault


def describe_bind_error(error: OSError, host: str, port: int, option: str = "--port") -> str:
    """Why a server cannot listen where it should, and what to do; `option` chooses another port."""
    place = f"Port {port} on {host}"
    if error.errno == errno.EADDRINUSE:
        return f"{place} is taken by another program, perhaps another nexus. Choose another one with {option}."
    if error.errno == errno.EACCES:
        return f"{place} may not be used by this user. Choose one from 1024 on with {option}."
    reason = error.strerror or str(error)
    return f"Cannot listen on {host}: {reason}. Name an address of this machine with --host."


def _is_token_too_short(settings: Settings) -> bool:
    return 0 < len(settings.auth.token.reveal()) < SHORTEST_TOKEN
