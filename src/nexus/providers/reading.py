"""The text of `models.toml` as entries; what is wrong in it is refused with its line."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from nexus.domain.core.errors import InvalidInput
from nexus.domain.core.texts import nearest
from nexus.providers.catalog import CUSTOM, OFFLINE, PROVIDERS, address_fault, key_fault, name_fault
from nexus.providers.file import Entry, ModelsFile
from nexus.settings import Secret

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}")
_TOP = ("default", "model")
_ENTRY = ("name", "base_url", "key_env", "key")
_AT_LINE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)")


def parse_file(path: Path, content: bytes) -> ModelsFile:
    """InvalidInput names the file, the line and what is wrong; never the value of a key."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InvalidInput(f"{path}, line {line}: it is not UTF-8 text.") from None
    return _Reader(path, text).read()


class _Reader:
    def __init__(self, path: Path, text: str) -> None:
        self._path, self._lines = path, text.splitlines()
        self._text = text

    def read(self) -> ModelsFile:
        document = self._document()
        self._check_keys(document, _TOP, entry=None)
        listed = document.get("model", [])
        if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
            self._refuse("a model is a table that begins with [[model]].", key="model")
        entries = tuple(self._entry(one, number) for number, one in enumerate(listed))
        names = [one.name for one in entries]
        for number, name in enumerate(names):
            if name in names[:number]:
                self._refuse(f"{name} is there twice.", key="name", entry=number)
        return ModelsFile(path=self._path, default=self._default(document, names), entries=entries)

    def _document(self) -> Mapping[str, Any]:
        try:
            return tomllib.loads(self._text)
        except tomllib.TOMLDecodeError as error:
            found = _AT_LINE.search(str(error))
            line = int(found[1]) if found and found[1] else max(len(self._lines), 1)
            self._refuse(f"it is no TOML: {_AT_LINE.sub('', str(error))}.", line=line)
        except RecursionError:
            self._refuse("it is no TOML that can be read: it is nested too deeply.", line=1)

    def _default(self, document: Mapping[str, Any], names: Sequence[str]) -> str:
        known = [OFFLINE, *names]
        default = document.get("default")
        if default is None:
            self._refuse('it does not say which model answers: write, for example, default = "offline".', line=1)
        if default not in known:
            self._refuse(f"default is none of the models here: {', '.join(known)}.", key="default")
        return str(default)

    def _entry(self, said: Mapping[str, Any], number: int) -> Entry:
        self._check_keys(said, _ENTRY, entry=number)
        for key, value in said.items():
            if not isinstance(value, str):
                self._refuse(f"{key} is no text.", key=key, entry=number)
            if fault := _fault(key, value):
                self._refuse(fault, key=key, entry=number)
        if "name" not in said:
            self._refuse("a model needs a name.", key="", entry=number)
        provider = PROVIDERS[said["name"].partition("/")[0]]
        if "key_env" in said and "key" in said:
            self._refuse("key and key_env: one of them is enough.", key="key", entry=number)
        if provider.name == CUSTOM and "base_url" not in said:
            self._refuse(f"{said['name']} needs a base_url.", key="name", entry=number)
        if provider.key_env and not {"base_url", "key_env", "key"} & set(said):
            self._refuse(f'{said["name"]} needs a key: key_env = "{provider.key_env}".', key="name", entry=number)
        return Entry(
            name=said["name"],
            base_url=said.get("base_url", ""),
            key_env=said.get("key_env", ""),
            key=Secret(said.get("key", "")),
            line=self._line("key_env" if "key_env" in said else "name", number),
        )

    def _check_keys(self, said: Mapping[str, Any], known: Sequence[str], *, entry: int | None) -> None:
        for key in said:
            if key not in known:
                near = nearest(key, known)
                guess = f" Do you mean {near}?" if near else f" Known are {', '.join(known)}."
                self._refuse(f"{key!r} is no key of this file.{guess}", key=key, entry=entry)

    def _refuse(self, sentence: str, *, key: str = "", entry: int | None = None, line: int = 0) -> NoReturn:
        raise InvalidInput(f"{self._path}, line {line or self._line(key, entry)}: {sentence}")

    def _line(self, key: str, entry: int | None) -> int:
        """Where a key of an entry stands, or one above all entries; else where the entry begins."""
        within, begins = -1, 1
        stands = re.compile(rf"\[*\s*[\"']?{re.escape(key)}[\"']?\s*[=.\]]") if key else None
        for number, line in enumerate(self._lines, 1):
            text = line.strip()
            if re.match(r"\[\[\s*[\"']?model[\"']?\s*\]\]", text):
                within += 1
                begins = number if within == entry else begins
            if stands and stands.match(text) and (entry is None or within == entry):
                return number
        return begins


def _fault(key: str, value: str) -> str:
    match key:
        case "name":
            return name_fault(value)
        case "base_url" if fault := address_fault(value):
            return f"base_url is wrong: {fault}"
        case "key_env" if not VARIABLE.fullmatch(value):
            return "key_env is the name of a variable, not a key."
        case "key" if fault := key_fault(value) or ("" if value else "it is empty."):
            return f"key is wrong: {fault}"
    return ""
