"""Commits without end to one project until it is killed, and says each commit that was acknowledged."""

import asyncio
import sys
from pathlib import Path

from nexus.adapters.directory.files import DirectoryFiles
from nexus.adapters.git.repository import GitRepository


async def main(root: Path, project_id: str, run: str) -> None:
    repository = GitRepository(root=root, files=DirectoryFiles(root))
    number = 0
    while True:
        number += 1
        files: dict[str, bytes | None] = {f"文件/{n}.txt": f"{run} {number}".encode() * 50 for n in range(6)}
        files |= {f"{run}-{number}.txt": b"new", f"{run}-{number - 1}.txt": None}
        commit_id = await repository.commit(project_id, files, message="One more", key=f"{run}/{number}")
        sys.stdout.write(f"{commit_id} {number}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
