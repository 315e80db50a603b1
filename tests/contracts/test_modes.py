"""What is kept is for its own user: 700 and 600, whatever the directory, the umask or an older nexus allowed."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from nexus.adapters.directory.files import DirectoryFiles
from nexus.adapters.directory.modes import make_paths_owner_only
from nexus.adapters.git.repository import GitRepository
from nexus.composition.process import open_process
from nexus.settings import parse_environment

PROJECT = "prj_01K0000000000000000000000A"


@pytest.fixture(params=[0o000, 0o022], ids=["umask 000", "umask 022"])
def careless(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def open_to_others(below: Path) -> list[str]:
    """What others could read or change below a directory, by its path there."""
    found = [Path(at, name) for at, folders, names in os.walk(below) for name in (*folders, *names)]
    return [str(path.relative_to(below)) for path in found if path.lstat().st_mode & 0o077 and not path.is_symlink()]


@pytest.mark.usefixtures("careless")
async def test_files_and_histories_are_closed_as_they_are_made(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o755)
    files = DirectoryFiles(data)
    await files.write("one/two/three.txt", b"mine")
    repository = GitRepository(root=data, files=files)
    for number in range(3):
        change = {f"agents/a/{number}.py": b"x = 1\n", "README.md": b"%d" % number}
        await repository.commit(PROJECT, change, message=f"Change {number}", key=f"k{number}")
    assert await repository.list_commits(PROJECT)
    assert (data / "projects" / PROJECT / ".git/index").is_file()
    assert open_to_others(data) == []


@pytest.mark.usefixtures("careless")
async def test_a_server_closes_what_it_finds_open_in_its_directory_and_nothing_else(tmp_path: Path) -> None:
    data = tmp_path / "data"
    for folder in ("projects/prj_1/agents", "of_the_user"):
        (data / folder).mkdir(parents=True)
    for file in ("projects/prj_1/agents/a.py", "nexus.db", "lock", "models.toml", "secret", "of_the_user/notes.txt"):
        (data / file).write_bytes(b"")
        (data / file).chmod(0o644)
    for folder in (".", "projects", "projects/prj_1", "projects/prj_1/agents", "of_the_user"):
        (data / folder).chmod(0o755)
    (data / "projects/link").symlink_to(data / "of_the_user/notes.txt")
    (data / "secret").write_bytes(b"s" * 32)
    async with open_process(parse_environment({"NEXUS_DATA_DIR": str(data)})):
        assert set(open_to_others(data)) == {"of_the_user", "of_the_user/notes.txt"}
    assert (data / "secret").read_bytes() != b"s" * 32, "others may have read it"
    kept = (data / "secret").read_bytes()
    async with open_process(parse_environment({"NEXUS_DATA_DIR": str(data)})):
        assert (data / "secret").read_bytes() == kept


def test_closing_keeps_what_the_owner_may(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/run.sh").touch()
    (tmp_path / "kept/run.sh").chmod(0o755)
    (tmp_path / "kept/object").touch()
    (tmp_path / "kept/object").chmod(0o444)
    make_paths_owner_only([tmp_path / "kept", tmp_path / "nowhere"])
    assert [(tmp_path / "kept" / name).stat().st_mode & 0o777 for name in ("run.sh", "object")] == [0o700, 0o400]
