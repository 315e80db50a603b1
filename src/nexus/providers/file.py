"""`models.toml` in the data directory: which model answers where the environment does not say."""

import fcntl
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tomli_w
from msgspec import Struct, structs

from nexus.domain.core.errors import InvalidInput
from nexus.domain.core.texts import find_nearest_word
from nexus.providers.catalog import (
    CUSTOM,
    OFFLINE,
    find_api_key_fault,
    find_base_url_fault,
    find_model_name_fault,
    get_model_provider,
)
from nexus.settings import Secret

FILE = "models.toml"
_LARGEST = 256 * 1024
_HALF = ".models-half"
_AT_LINE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
_TOP = ("default", "model")
_ENTRY: Mapping[str, Callable[[str], str]] = {
    "name": find_model_name_fault,
    "base_url": lambda url: f"base_url is wrong: {fault}" if (fault := find_base_url_fault(url)) else "",
    "key_env": lambda name: "" if VARIABLE.fullmatch(name) else "key_env is the name of a variable, not a key.",
    "key": lambda key: (
        f"key is wrong: {fault}" if (fault := find_api_key_fault(key) if key else "it is empty.") else ""
    ),
}
"""What is wrong with the text of each key of an entry; empty when nothing is."""
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
    def resolved_base_url(self) -> str:
        return self.base_url or get_model_provider(self.name).base_url


class ModelsFile(Struct, frozen=True, kw_only=True):
    """What a file says; `default` is the name of an entry, or `offline`."""

    path: Path
    default: str = OFFLINE
    entries: tuple[Entry, ...] = ()

    def find_model_entry(self, name: str) -> Entry | None:
        return next((one for one in self.entries if one.name == name), None)


def read_models_file(data: Path) -> ModelsFile | None:
    """The file of a data directory; None where there is none. InvalidInput names the file, the line and what is wrong; never a key."""
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
    lines = content.decode("utf-8-sig", errors="replace").splitlines()
    document, fault, line = _parse_toml_document(content)
    for sentence, key, number in _find_models_file_faults(document) if not fault else ():
        fault, line = sentence, _find_key_line(lines, key, number)
        break
    if fault:
        raise InvalidInput(f"{path}, line {line}: {fault}")
    entries = [
        Entry(
            **said | {"key": Secret(said.get("key", ""))},
            line=_find_key_line(lines, "key_env" if "key_env" in said else "name", at),
        )
        for at, said in enumerate(document.get("model", []))
    ]
    return ModelsFile(path=path, default=document["default"], entries=tuple(entries))


def _parse_toml_document(content: bytes) -> tuple[Mapping[str, Any], str, int]:
    """What the file says, or what is wrong with its text, and in which line."""
    import tomllib  # most starts do without

    try:
        return tomllib.loads(content.decode("utf-8-sig")), "", 0
    except UnicodeDecodeError as error:
        return {}, "it is not UTF-8 text.", content.count(b"\n", 0, error.start) + 1
    except tomllib.TOMLDecodeError as error:
        found = _AT_LINE.search(str(error))
        line = int(found[1]) if found and found[1] else max(len(content.splitlines()), 1)
        return {}, f"it is no TOML: {_AT_LINE.sub('', str(error))}.", line
    except RecursionError:
        return {}, "it is no TOML that can be read: it is nested too deeply.", 1


def _find_models_file_faults(document: Mapping[str, Any]) -> Iterator[tuple[str, str, int | None]]:
    """What is wrong, each with its key and the number of its entry, None above all entries. Only the first is sure to be one."""
    yield from ((_describe_unknown_key(key, _TOP), key, None) for key in document if key not in _TOP)
    listed = document.get("model", [])
    if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
        yield "a model is a table that begins with [[model]].", "model", None
    for number, said in enumerate(listed):
        yield from ((sentence, key, number) for sentence, key in _find_model_entry_faults(said))
    names = [said["name"] for said in listed]
    yield from ((f"{name} is there twice.", "name", at) for at, name in enumerate(names) if name in names[:at])
    if "default" not in document:
        yield 'it does not say which model answers: write, for example, default = "offline".', "", None
    elif document["default"] not in (known := [OFFLINE, *names]):
        yield f"default is none of the models here: {', '.join(known)}.", "default", None


def _find_model_entry_faults(said: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key, value in said.items():
        if key not in _ENTRY:
            yield _describe_unknown_key(key, _ENTRY), key
        elif fault := _ENTRY[key](value) if isinstance(value, str) else f"{key} is no text.":
            yield fault, key
    if "name" not in said:
        yield "a model needs a name.", ""
    name, provider = said["name"], get_model_provider(said["name"])
    if "key_env" in said and "key" in said:
        yield "key and key_env: one of them is enough.", "key"
    if provider.name == CUSTOM and "base_url" not in said:
        yield f"{name} needs a base_url.", "name"
    if provider.key_env and not {"base_url", "key_env", "key"} & set(said):
        yield f'{name} needs a key: key_env = "{provider.key_env}".', "name"


def _describe_unknown_key(key: str, known: Iterable[str]) -> str:
    near = find_nearest_word(key, known)
    guess = f"Do you mean {near}?" if near else f"Known are {', '.join(known)}."
    return f"{key!r} is no key of this file. {guess}"


def _find_key_line(lines: Sequence[str], key: str, entry: int | None) -> int:
    """Where a key of an entry stands, or one above all entries; else where the entry begins."""
    within, begins = -1, 1
    stands = re.compile(rf"\[*\s*[\"']?{re.escape(key)}[\"']?\s*[=.\]]") if key else None
    for number, line in enumerate(map(str.strip, lines), 1):
        if re.match(r"\[\[\s*[\"']?model[\"']?\s*\]\]", line):
            within += 1
            begins = number if within == entry else begins
        if stands and stands.match(line) and (entry is None or within == entry):
            return number
    return begins


def set_default_model(data: Path, name: str, entry: Entry | None = None) -> ModelsFile:
    """Makes a model the one that answers, and answers the file as it is now. An `entry` takes the place of the one of its name; the
    others stay. InvalidInput for a file that cannot be read, and for a directory that cannot be written."""
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _lock_directory(data):
            now = read_models_file(data) or ModelsFile(path=data / FILE)
            kept = tuple(one for one in now.entries if entry is None or one.name != entry.name)
            now = structs.replace(now, default=name, entries=kept if entry is None else (*kept, entry))
            _write_models_file(data, _format_models_file(now))
    except OSError as error:
        raise InvalidInput(f"{data / FILE} cannot be written: {error.strerror}.") from error
    return now


@contextmanager
def _lock_directory(data: Path) -> Iterator[None]:
    """One writer at a time."""
    directory = os.open(data, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield
        os.fsync(directory)
    finally:
        os.close(directory)


def _write_models_file(data: Path, text: str) -> None:
    """The whole file or none of it, whatever happens; readable by its owner alone. A writer that was killed leaves its half, which the
    next one begins anew."""
    if len(text.encode()) > _LARGEST:
        raise InvalidInput(f"{data / FILE} would be larger than {_LARGEST // 1024} KB: remove models from it.")
    half = data / _HALF
    half.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        half.replace(data / FILE)
    finally:
        half.unlink(missing_ok=True)


def _format_models_file(file: ModelsFile) -> str:
    parts = [_HEAD, tomli_w.dumps({"default": file.default})]
    for entry in file.entries:
        said = {"name": entry.name, "base_url": entry.base_url, "key_env": entry.key_env, "key": entry.key.reveal()}
        parts += ["\n[[model]]\n", tomli_w.dumps({key: text for key, text in said.items() if text})]
    return "".join(parts)
