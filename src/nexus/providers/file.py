"""`models.toml` in the data directory: which model answers where the environment does not say."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tomli_w
from msgspec import Struct, structs

from nexus.domain.core.errors import InvalidInput
from nexus.providers.catalog import OFFLINE, PROVIDERS
from nexus.settings import Secret

FILE = "models.toml"
_LARGEST = 256 * 1024
_TEMPORARY = ".models-"
_HEAD = "# Which model answers. `nexus models use` rewrites this file, without other comments.\n"


class Entry(Struct, frozen=True, kw_only=True):
    """A model by its name `PROVIDER/NAME`, where it is reached, and its key: the variable that holds it, or the key itself.

    `line` is where the file tells of the key."""

    name: str
    base_url: str = ""
    key_env: str = ""
    key: Secret = Secret()
    line: int = 0

    @property
    def address(self) -> str:
        return self.base_url or PROVIDERS[self.name.partition("/")[0]].base_url

    @property
    def model(self) -> str:
        """As its provider knows it."""
        return self.name.partition("/")[2]


class ModelsFile(Struct, frozen=True, kw_only=True):
    """What a file says; `default` is the name of an entry, or `offline`."""

    path: Path
    default: str = OFFLINE
    entries: tuple[Entry, ...] = ()

    def entry(self, name: str) -> Entry | None:
        return next((one for one in self.entries if one.name == name), None)


def read_file(data: Path) -> ModelsFile | None:
    """The file of a data directory; None where there is none. InvalidInput names the file and the line that is wrong."""
    path = data / FILE
    if path.is_fifo() or path.is_socket():
        raise InvalidInput(f"{path} cannot be read: it is no regular file.")
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}.") from error
    if len(content) > _LARGEST:
        raise InvalidInput(f"{path} is larger than {_LARGEST // 1024} KB: it is no list of models.")
    from nexus.providers.reading import parse_file  # brings a TOML reader, which most starts do without

    return parse_file(path, content)


def choose_model(data: Path, name: str, entry: Entry | None = None) -> ModelsFile:
    """Makes a model the one that answers, and answers the file as it is now. An `entry` takes the place of the one of its name; the
    others stay. InvalidInput for a file that cannot be read, and for a directory that cannot be written."""
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _alone_in(data):
            now = read_file(data) or ModelsFile(path=data / FILE)
            kept = tuple(one for one in now.entries if entry is None or one.name != entry.name)
            now = structs.replace(now, default=name, entries=kept if entry is None else (*kept, entry))
            _write(data, _text(now))
    except OSError as error:
        raise InvalidInput(f"{data / FILE} cannot be written: {error.strerror}.") from error
    return now


@contextmanager
def _alone_in(data: Path) -> Iterator[None]:
    """One writer at a time; what an earlier one left half-written is gone."""
    directory = os.open(data, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        for left in data.glob(f"{_TEMPORARY}*"):
            left.unlink(missing_ok=True)
        yield
        os.fsync(directory)
    finally:
        os.close(directory)


def _write(data: Path, text: str) -> None:
    """The whole file or none of it, whatever happens; readable by its owner alone."""
    if len(text.encode()) > _LARGEST:
        raise InvalidInput(f"{data / FILE} would be larger than {_LARGEST // 1024} KB: remove models from it.")
    descriptor, temporary = tempfile.mkstemp(prefix=_TEMPORARY, dir=data)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(data / FILE)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _text(file: ModelsFile) -> str:
    parts = [_HEAD, tomli_w.dumps({"default": file.default})]
    for entry in file.entries:
        said = {"name": entry.name, "base_url": entry.base_url, "key_env": entry.key_env, "key": entry.key.reveal()}
        parts += ["\n[[model]]\n", tomli_w.dumps({key: text for key, text in said.items() if text})]
    return "".join(parts)
