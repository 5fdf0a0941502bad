"""What each step of the study depends on, as one digest; the Snakefile asks here.

A step is done when a stamp named by its digest exists. The digest covers the
chapter, the modules it imports, its parameters, the data and the steps before
it, all by content, so exactly what depends on a change runs again. Of earlier
steps only what they do counts: new prose in one chapter does not make the next
one run again.
"""

from __future__ import annotations

import ast
import functools
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from birads_lib.errors import one_of
from birads_lib.files import fingerprint, sha256
from birads_lib.study import profiles
from birads_lib.study.machine import timed_step
from birads_lib.study.notebooks import declared_parameters, read_chapter, run_chapter
from birads_lib.study.profiles import CHAPTERS, DATA, NEEDS, NOTEBOOKS, Profile
from birads_lib.study.written import noted

if TYPE_CHECKING:
    from nbformat import NotebookNode

PACKAGE = Path(__file__).parents[1]
MODELS = "models"
GENERATOR = "birads_lib.tiles.phantom"
BOOKS = profiles.BUILD / "stamps" / "html"
"""Stamps of the book, by run; there is one, since a book takes the place of another's."""


class Study:
    """One profile on one set of tiles: its folders, its steps, their digests.

    Chapters and modules are read once: a study stands for the sources as they
    were when it was asked first.

    Args:
        profile: Name of a profile.
        data: Folder of a real data set; ``None`` for the profile's simulated set, or for
            the Kaggle set where the profile needs it and Kaggle has mounted it.
        external: Folder of other tiles to judge the networks by, or ``None`` for the
            simulated ones of a chapter that asks for ``EXTERNAL``.
    """

    def __init__(
        self,
        profile: str = profiles.DEFAULT,
        data: str | None = None,
        external: str | None = None,
    ):
        self.profile: Profile = profiles.get_profile(profile)
        self.data, self.external = profiles.given_data(self.profile, data), external
        if external:
            profiles.data_digest(external)  # names a missing folder before anything runs
        self.run = profiles.run_folder(self.profile, self.data)
        self.source = profiles.data_folder(self.profile, self.data)
        self._read: dict[str, NotebookNode] = {}
        self._effects: dict[str, str] = {}

    def chapter(self, name: str) -> NotebookNode:
        """A chapter's cells, as written."""
        if name not in self._read:
            self._read[name] = read_chapter(NOTEBOOKS / f"{one_of('chapter', name, CHAPTERS)}.py")
        return self._read[name]

    def parameters(self, chapter: str) -> dict[str, Any]:
        """What a chapter gets over its own defaults."""
        given = {**self.profile.chapters[one_of("chapter", chapter, CHAPTERS)]}
        places = {"RUN": str(self.run), "SRC": str(self.source)}
        declared = declared_parameters(self.chapter(chapter))
        known = {name: place for name, place in places.items() if name in declared}
        asked = {"EXTERNAL": self.external} if self.external and "EXTERNAL" in declared else {}
        return {**known, **given, **asked}

    def stamp(self, step: str) -> Path:
        """File that says a step (``data``, a chapter or ``results``) is done as it stands.

        That of simulated tiles lies among them: who deletes them deletes it too.
        """
        if step == DATA and self.data is None:
            return self.source / "stamp" / self.digest(step)[:16]
        return self.run / "stamps" / step / self.digest(step)[:16]

    def digest(self, step: str) -> str:
        """All that decides a step's output, its prose included."""
        if step == "data":
            return self._data_digest
        if step == "results":
            return fingerprint([self.digest(c) for c in CHAPTERS] + _code("study.ledger"))
        source = sha256(NOTEBOOKS / f"{step}.py")
        return fingerprint([source, self.effect(step)])

    def _files_named(self, chapter: str) -> dict[str, str]:
        """SHA-256 of each file that a parameter names, such as weights or measurements.

        A file may lie in the run's folder, as the results of a sweep do.
        """
        values = {**declared_parameters(self.chapter(chapter)), **self.parameters(chapter)}
        named = {name: v for name, v in values.items() if isinstance(v, str) and v}
        places = [(name, root / v) for root in (self.run, Path()) for name, v in named.items()]
        return {name: sha256(path) for name, path in places if path.is_file()}

    def run_chapter(self, chapter: str) -> None:
        """Run one chapter into the run's folder, and note what it wrote."""
        with noted(self.run, chapter):
            run_chapter(
                NOTEBOOKS / f"{chapter}.py",
                self.run / "notebooks" / f"{chapter}.ipynb",
                self.parameters(chapter),
                self.run / "figures",
            )

    def help_chapter(self, chapter: str) -> None:
        """Run a chapter on a host that is not the chief, for the training they share.

        It reads the chief's folder; but for trained models, what it writes is dropped.
        """
        with tempfile.TemporaryDirectory(prefix=f"birads-{chapter}-") as folder:
            own = mirror_run(self.run, Path(folder) / self.run.name)
            run_chapter(
                NOTEBOOKS / f"{chapter}.py",
                own / "notebooks" / f"{chapter}.ipynb",
                {**self.parameters(chapter), "RUN": str(own)},
                own / "figures",
            )

    def collect(self) -> None:
        """Compute metrics and ledger from what the chapters left."""
        from birads_lib.study.ledger import write_results

        with timed_step(self.run, "results"):
            write_results(self.run)

    def effect(self, chapter: str) -> str:
        """What a chapter does, whatever it says."""
        if chapter in self._effects:
            return self._effects[chapter]
        code = "\n".join(c.source for c in self.chapter(chapter).cells if c.cell_type == "code")
        self._effects[chapter] = fingerprint(
            {
                "code": code_digest(code),
                "parameters": self._decisive(chapter),
                "files": self._files_named(chapter),
                "needs": [
                    self._data_digest if step == DATA else self.effect(step)
                    for step in NEEDS[chapter]
                ],
            }
        )
        return self._effects[chapter]

    def _decisive(self, chapter: str) -> dict[str, Any]:
        """A chapter's parameters, with the content of an external set for its place."""
        given = self.parameters(chapter)
        if given.get("EXTERNAL"):
            given["EXTERNAL"] = profiles.data_digest(given["EXTERNAL"])
        return given

    @functools.cached_property
    def _data_digest(self) -> str:
        if self.data is not None:
            return profiles.data_digest(self.data)
        return fingerprint(
            [self.profile.phantom, [_syntax(m) for m in sorted(_closure(GENERATOR))]]
        )


def mirror_run(run: Path, folder: Path) -> Path:
    """A folder of links to a run's files, so that writing over one leaves the run's alone.

    Only ``models`` is the run's own: ``training.train`` decides who writes there.
    """
    source = run.resolve()
    shutil.copytree(source, folder, copy_function=os.symlink, ignore=shutil.ignore_patterns(MODELS))
    (source / MODELS).mkdir(exist_ok=True)
    (folder / MODELS).symlink_to(source / MODELS)
    return folder


def drop_stamps(study: Study, step: str) -> None:
    """Take back that a step is done, before it writes anything; what sums it up goes too.

    A step that fails half-way may have changed what it had left before, so it and the
    results must run again even if its sources are put back as they were.
    """
    later = {"html": (), "results": ("html",)}.get(step, ("results", "html"))
    for name in (step, *later):
        stamp = book_stamp(study) if name == "html" else study.stamp(name)
        shutil.rmtree(stamp.parent, ignore_errors=True)


def drop_stamp_of_lost_book() -> None:
    """Take back that the book is made if its pages are there no more."""
    if not (profiles.BUILD / "html" / "index.html").exists():
        shutil.rmtree(BOOKS, ignore_errors=True)


def put_stamp(stamp: Path) -> None:
    """Mark a step as done; stamps of its earlier states go, and with a book those of others."""
    earlier = BOOKS if stamp.is_relative_to(BOOKS) else stamp.parent
    shutil.rmtree(earlier, ignore_errors=True)
    stamp.parent.mkdir(parents=True)
    stamp.touch()


def book_stamp(study: Study) -> Path:
    """File that says the book shows this study as it stands."""
    pages = [p for p in sorted(Path("book").rglob("*")) if p.is_file()]
    sources = [Path("_config.yml"), Path("_toc.yml"), *pages]
    digest = fingerprint(
        [
            str(study.run),
            study.digest("results"),
            [(str(p), sha256(p)) for p in sources],
            _code("study.book"),
        ]
    )
    return BOOKS / study.run.name / digest[:16]


def code_digest(code: str) -> str:
    """Digest of code and of all in this package that it imports, by what they do."""
    modules = sorted(imported_modules(code))
    return fingerprint([ast.dump(ast.parse(code)), [_syntax(module) for module in modules]])


def imported_modules(code: str) -> set[str]:
    """Modules of this package that code imports, directly or through others.

    A name taken from a package counts as the module that defines it, so that
    a chapter depends on what it uses and not on all that lies beside it.
    """
    named = _named_in(ast.parse(code))
    return set().union(*(_closure(module) for module in named))


@functools.cache
def _closure(module: str) -> frozenset[str]:
    """A module and all of the package that it imports."""
    found, waiting = {module}, [module]
    while waiting:
        new = _imports(waiting.pop()) - found
        found |= new
        waiting += new
    return frozenset(found)


@functools.cache
def _imports(module: str) -> frozenset[str]:
    """Modules of the package that a module imports itself."""
    return frozenset(_named_in(_tree(module)))


def _named_in(tree: ast.Module) -> set[str]:
    """Modules of the package that code imports, a name's by where it is defined."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and _is_ours(node.module or ""):
            found |= {_defining(str(node.module), alias.name) for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if _is_ours(alias.name)}
    return found


def _is_ours(module: str) -> bool:
    return module.split(".")[0] == PACKAGE.name


@functools.cache
def _defining(module: str, name: str) -> str:
    """The module that ``from module import name`` takes ``name`` from."""
    if _path(module).name != "__init__.py":
        return module
    if _path(f"{module}.{name}").exists():
        return f"{module}.{name}"
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.ImportFrom) and name in [a.asname or a.name for a in node.names]:
            return _defining(str(node.module), name)
    return module


@functools.cache
def _tree(module: str) -> ast.Module:
    return ast.parse(_path(module).read_text(encoding="utf-8"))


def _path(module: str) -> Path:
    base = PACKAGE.parent / Path(*module.split("."))
    package = base / "__init__.py"
    return package if package.exists() else base.with_suffix(".py")


@functools.cache
def _syntax(module: str) -> str:
    """A module's code without comments and layout, and the data files that it names."""
    tree = _tree(module)
    texts = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant)}
    named = [p for p in sorted(PACKAGE.rglob("*.json")) if p.name in texts]
    return fingerprint([module, ast.dump(tree), [sha256(path) for path in named]])


def _code(module: str) -> list[str]:
    return [_syntax(m) for m in sorted(_closure(f"{PACKAGE.name}.{module}"))]


def environment() -> dict[str, str]:
    """Environment for the graph's own processes: this Python first, and what is fastest.

    TensorFlow leaves oneDNN's kernels off on processors without AVX-512, where they train
    these networks at 1.7 to 2.7 times the speed (``make bench ONLY=train``).
    """
    here = str(Path(sys.executable).parent)
    path = f"{here}{os.pathsep}{os.environ.get('PATH', '')}"
    return {"TF_ENABLE_ONEDNN_OPTS": "1", **os.environ, "PATH": path}
