"""`models.toml`: written whole or not at all, read strictly, and what is wrong is told with its line."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from nexus.domain.core.errors import InvalidInput
from nexus.providers.file import FILE, Entry, read_models_file, set_default_model
from nexus.settings import Secret

QWEN = Entry(name="ollama/qwen3", base_url="http://127.0.0.1:11434/v1")
KEYED = Entry(name='custom/通义 "千问"\\', base_url="https://a.example/v1", key=Secret("sk-canary"))
WRITER = """
import sys
from pathlib import Path
from nexus.providers.file import Entry, set_default_model
from nexus.settings import Secret
data, name, times = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
for _ in range(times):
    set_default_model(data, name, Entry(name=name, base_url="https://a.example/v1", key=Secret("k" * 20_000)))
"""


def written(folder: Path, text: str | bytes) -> Path:
    (folder / FILE).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def refusal(folder: Path, text: str | bytes) -> str:
    with pytest.raises(InvalidInput) as told:
        read_models_file(written(folder, text))
    assert told.value.detail.startswith(str(folder / FILE))
    return told.value.detail.removeprefix(str(folder / FILE))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_without_a_file_nothing_is_said(tmp_path: Path):
    assert read_models_file(tmp_path) is None
    assert read_models_file(tmp_path / "nowhere") is None


def test_what_is_written_is_what_is_read_and_only_its_owner_can_read_it(tmp_path: Path):
    data = tmp_path / "new" / "data"
    set_default_model(data, QWEN.name, QWEN)
    set_default_model(data, KEYED.name, KEYED)
    file = read_models_file(data)
    assert file is not None
    assert (file.default, [one.name for one in file.entries]) == (KEYED.name, [QWEN.name, KEYED.name])
    assert file.entries[1].key.reveal() == "sk-canary"
    assert (file.entries[0].base_url, file.entries[0].key_env, bool(file.entries[0].key)) == (QWEN.base_url, "", False)
    assert (mode(data), mode(data / FILE)) == (0o700, 0o600)
    assert names(data) == [FILE]
    assert "canary" not in repr(file)


def test_another_choice_keeps_the_others_and_their_keys(tmp_path: Path):
    set_default_model(tmp_path, KEYED.name, KEYED)
    set_default_model(tmp_path, QWEN.name, QWEN)
    set_default_model(tmp_path, "offline")
    set_default_model(tmp_path, KEYED.name)
    file = read_models_file(tmp_path)
    assert file is not None
    assert (file.default, len(file.entries)) == (KEYED.name, 2)
    again = set_default_model(tmp_path, KEYED.name, Entry(name=KEYED.name, base_url="https://b.example/v1"))
    assert [(one.base_url, bool(one.key)) for one in again.entries if one.name == KEYED.name] == [
        ("https://b.example/v1", False)
    ]


def test_the_same_choice_twice_is_the_same_file(tmp_path: Path):
    set_default_model(tmp_path, QWEN.name, QWEN)
    first = (tmp_path / FILE).read_bytes()
    set_default_model(tmp_path, QWEN.name, QWEN)
    assert (tmp_path / FILE).read_bytes() == first


def test_a_file_that_was_open_to_others_is_closed_when_it_is_written(tmp_path: Path):
    written(tmp_path, 'default = "offline"\n')
    (tmp_path / FILE).chmod(0o644)
    set_default_model(tmp_path, QWEN.name, QWEN)
    assert mode(tmp_path / FILE) == 0o600


def test_a_file_written_by_hand_needs_little(tmp_path: Path):
    text = 'default = "openai/gpt-4o-mini"\n[[model]]\nname = "openai/gpt-4o-mini"\nkey_env = "OPENAI_API_KEY"\n'
    file = read_models_file(written(tmp_path, f"\ufeff{text}"))
    assert file is not None
    assert (file.entries[0].resolved_base_url, file.entries[0].line) == ("https://api.openai.com/v1", 4)


MODEL = 'default = "offline"\n\n[[model]]\nname = "ollama/a"\n\n[[model]]\nname = "ollama/b"\n'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("default = offline\n", ", line 1: it is no TOML"),
        ('default = "offline"\nx = [\n', ", line 2: it is no TOML"),
        ('default = "offline"\ndefault = "x"\n', ", line 2: it is no TOML"),
        ("", ", line 1: it does not say which model answers"),
        ('default = "ollama/qwen3"\n', ", line 1: default is none of the models here: offline."),
        ("default = 7\n", ", line 1: default is none"),
        ('default = "offline"\nmodel = "x"\n', ", line 2: a model is a table that begins with [[model]]"),
        ('default = "offline"\n[model]\nname = "ollama/a"\n', ", line 2: a model is a table that begins with [[model]]"),
        ('default = "offline"\ndefalt = "x"\n', ", line 2: 'defalt' is no key of this file. Do you mean default?"),
        ('default = "offline"\n[aliases]\nfast = "x"\n', ", line 2: 'aliases' is no key of this file. Known are default, model."),
        (f'{MODEL}baseurl = "x"\n', ", line 8: 'baseurl' is no key of this file. Do you mean base_url?"),
        (f"{MODEL}base_url = 7\n", ", line 8: base_url is no text."),
        (f'{MODEL}base_url = "http://a/v1/chat/completions"\n', ", line 8: base_url is wrong: it is the address of one call: write http://a/v1."),
        (f'{MODEL}key_env = "sk-canary"\n', ", line 8: key_env is the name of a variable, not a key."),
        (f'{MODEL}key = "Bearer canary"\n', ", line 8: key is wrong: "),
        (f'{MODEL}key = ""\n', ", line 8: key is wrong: it is empty."),
        (f'{MODEL}key = "canary"\nkey_env = "A"\n', ", line 8: key and key_env: one of them is enough."),
        (MODEL.replace("ollama/b", "olama/b"), ", line 7: 'olama' is no provider. Do you mean ollama?"),
        (MODEL.replace("ollama/b", "ollama/a"), ", line 7: ollama/a is there twice."),
        (MODEL.replace("ollama/b", "custom/b"), ", line 7: custom/b needs a base_url."),
        (MODEL.replace("ollama/b", "deepseek/b"), ', line 7: deepseek/b needs a key: key_env = "DEEPSEEK_API_KEY".'),
        (f"{MODEL}[[model]]\n", ", line 8: a model needs a name."),
        (b'default = "offline"\n# \xff\n', ", line 2: it is not UTF-8 text."),
        (b"\xff\xfed\x00", ", line 1: it is not UTF-8 text."),
        ("x = " + "[" * 50_000, ", line 1: it is no TOML"),
        ("# " + "x" * 300_000, " is larger than 256 KB: it is no list of models."),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line_and_without_a_key(tmp_path: Path, text: str | bytes, told: str):
    said = refusal(tmp_path, text)
    assert said.startswith(told)
    assert "canary" not in said


def test_a_file_that_is_wrong_is_not_written_over(tmp_path: Path):
    written(tmp_path, "default = \n")
    with pytest.raises(InvalidInput, match="line 1"):
        set_default_model(tmp_path, QWEN.name, QWEN)
    assert (tmp_path / FILE).read_text() == "default = \n"


def test_a_file_that_could_not_be_read_again_is_not_written(tmp_path: Path):
    set_default_model(tmp_path, QWEN.name, QWEN)
    with pytest.raises(InvalidInput, match="would be larger than 256 KB"):
        set_default_model(
            tmp_path, "custom/x", Entry(name="custom/x", base_url="http://a/v1", key=Secret("k" * 300_000))
        )
    file = read_models_file(tmp_path)
    assert file is not None
    assert file.default == QWEN.name
    assert names(tmp_path) == [FILE]


def test_a_directory_in_the_place_of_the_file_and_a_file_in_the_place_of_the_directory_are_told(tmp_path: Path):
    (tmp_path / FILE).mkdir()
    with pytest.raises(InvalidInput, match="Is a directory"):
        read_models_file(tmp_path)
    (tmp_path / "plain").write_text("")
    assert read_models_file(tmp_path / "plain") is None
    with pytest.raises(InvalidInput, match="cannot be written"):
        set_default_model(tmp_path / "plain", "offline")


def test_writers_at_once_leave_one_whole_file_with_what_each_wrote(tmp_path: Path):
    models = [f"custom/{number}" for number in range(4)]
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    writers = [subprocess.Popen([*command, name, "3"], stdout=subprocess.DEVNULL) for name in models]
    assert [writer.wait(60) for writer in writers] == [0] * 4
    file = read_models_file(tmp_path)
    assert file is not None
    assert sorted(one.name for one in file.entries) == models
    assert file.default in models
    assert names(tmp_path) == [FILE]


@pytest.mark.parametrize(
    ("call", "default"),
    [("os.fdopen", QWEN.name), ("os.fsync", QWEN.name), ("pathlib.Path.replace", QWEN.name), ("os.close", "custom/x")],
)
def test_a_writer_that_is_killed_leaves_a_whole_file_and_the_next_one_tidies(tmp_path: Path, call: str, default: str):
    set_default_model(tmp_path, QWEN.name, QWEN)
    script = f"import os, pathlib\n{WRITER}".replace(
        "for _", f"{call} = lambda *_, **__: os.kill(os.getpid(), 9)\nfor _"
    )
    command = [sys.executable, "-c", script, str(tmp_path), "custom/x", "1"]
    killed = subprocess.run(command, stdout=subprocess.DEVNULL, timeout=60, check=False)
    assert killed.returncode == -signal.SIGKILL
    file = read_models_file(tmp_path)
    assert file is not None
    assert (file.entries[0].name, file.default) == (QWEN.name, default)
    set_default_model(tmp_path, "offline")
    assert names(tmp_path) == [FILE]


def test_a_pipe_in_the_place_of_the_file_is_told_and_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "models.toml")
    with pytest.raises(InvalidInput, match="no regular file"):
        read_models_file(tmp_path)
