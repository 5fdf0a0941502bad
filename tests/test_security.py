"""What SECURITY.md promises of the code, the lock and the workflows, held against them.

Programs are read as syntax, so that a word in a comment or in a message is no finding. What
must stand in a test, to show that it is refused, is listed with the reason.
"""

from __future__ import annotations

import ast
import functools
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from birads_lib.study import graph
from birads_lib.study.profiles import CHAPTERS

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("birads_lib", "notebooks", "benchmarks", "tests")
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.y*ml"))

Found = Iterator[tuple[int, str]]
"""Lines of a program, and what is wrong there."""

EXCEPTIONS = {
    ("tests/faults/test_faulty_arrays.py", "import pickle"): "sets traps that must not spring",
    ("tests/faults/test_faulty_arrays.py", "os.system"): "what a trap would do",
    ("tests/tiles/test_ddsm10.py", "import pickle"): "sets traps that must not spring",
    ("tests/tiles/test_ddsm10.py", "allow_pickle=True"): "sets traps that must not spring",
    ("tests/faults/damage.py", "allow_pickle=True"): "sets traps that must not spring",
    ("tests/test_extend.py", "exec"): "runs the code that a page of the book prints",
    ("tests/test_training.py", "layers.Lambda"): "a network that bursts, which no file holds",
    ("tests/networks/test_model_files.py", "keras.layers.Lambda"): "a trap that must not spring",
    ("tests/offline/sitecustomize.py", "import socket"): "notes who is asked",
    ("tests/offline/alone.py", "import socket"): "takes the network away",
    ("tests/offline/alone.py", "os.execvp"): "of words, no shell",
    ("tests/test_devices.py", "import socket"): "finds free ports of this computer",
    ("tests/study/test_server.py", "import urllib.request"): "asks this computer for a page",
    ("birads_lib/files.py", "import socket"): "for the computer's name, of which a digest is kept",
    ("birads_lib/study/server.py", "import http.server"): "shows the book to this computer",
    ("birads_lib/engines.py", "import openvino"): "where it is kept from reporting each import",
    ("birads_lib/tiles/fetch.py", "import kagglehub"): "fetches a set when a person asks for it",
}
"""What is found all the same, by file, and why it may stand there."""


@functools.cache
def programs() -> dict[str, list[ast.AST]]:
    """Imports, calls and attributes of every program, by its path."""
    paths = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    assert len(paths) > 200
    texts = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in paths}
    return {path: looked_at(text) for path, text in texts.items()}


def looked_at(source: str) -> list[ast.AST]:
    kinds = (ast.Import, ast.ImportFrom, ast.Call, ast.Attribute)
    return [node for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)]


@functools.cache
def findings(check: Callable[[ast.AST], Found]) -> list[tuple[str, int, str]]:
    """What a check finds anywhere: file, line, what it is."""
    return [
        (path, line, what)
        for path, nodes in programs().items()
        for node in nodes
        for line, what in check(node)
    ]


def found_in(source: str, check: Callable[[ast.AST], Found]) -> list[str]:
    """What a check finds in a few lines."""
    return [what for node in looked_at(source) for _, what in check(node)]


@functools.cache
def called(node: ast.AST) -> str:
    """Name of what a call calls, such as ``np.load``; "" for all else."""
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""


def option(node: ast.AST, name: str) -> ast.expr | None:
    """Value of an option of a call, if it is given."""
    given = node.keywords if isinstance(node, ast.Call) else []
    return next((keyword.value for keyword in given if keyword.arg == name), None)


def is_constant(value: ast.expr | None, *allowed: object) -> bool:
    return isinstance(value, ast.Constant) and value.value in allowed


# What programs may not do


def imports(*modules: str) -> Callable[[ast.AST], Found]:
    """A check that finds imports of modules, or of what is in them."""

    def check(node: ast.AST) -> Found:
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and not node.level:
            names = [str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)]
        for module in modules:
            if any(name == module or name.startswith(f"{module}.") for name in names):
                yield node.lineno, f"import {module}"

    return check


def pickles(node: ast.AST) -> Found:
    """Arrays, tables and models read or written in ways that can carry code."""
    allowed = option(node, "allow_pickle")
    if allowed is not None and not is_constant(allowed, False):
        yield node.lineno, f"allow_pickle={ast.unparse(allowed)}"
    name = called(node)
    if re.fullmatch(r"joblib\.(load|dump|Memory)|(pd|pandas)\.read_pickle|torch\.load", name):
        yield node.lineno, name
    if name.endswith((".to_pickle", ".enable_unsafe_deserialization")):
        yield node.lineno, name.rpartition(".")[2]


def unsaid_pickles(node: ast.AST) -> Found:
    """Arrays read or written without a word on pickles; numpy writes them unless told not to."""
    if called(node) in ("np.load", "np.save", "np.savez") and option(node, "allow_pickle") is None:
        yield node.lineno, called(node)


def unsafe_models(node: ast.AST) -> Found:
    """Keras told to take code from a file, or layers that are not registered."""
    safe = option(node, "safe_mode")
    if safe is not None and not is_constant(safe, True):
        yield node.lineno, f"safe_mode={ast.unparse(safe)}"
    if option(node, "custom_objects") is not None:
        yield node.lineno, "custom_objects"
    if called(node).endswith(("custom_object_scope", "CustomObjectScope", "layers.Lambda")):
        yield node.lineno, called(node)


def unsafe_yaml(node: ast.AST) -> Found:
    """YAML that may name types of Python."""
    names = {"safe_load", "safe_dump", "SafeLoader", "YAMLError"}
    kinds = {"Node", "MappingNode", "ScalarNode", "SequenceNode"}
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        if node.value.id == "yaml" and node.attr not in names | kinds:
            yield node.lineno, f"yaml.{node.attr}"
    elif isinstance(node, ast.ImportFrom) and node.module == "yaml":
        yield node.lineno, "from yaml import"


OF_THE_SYSTEM = re.compile(r"os\.(system|popen|(exec|spawn)[lv]p?e?|posix_spawnp?)")


def shells(node: ast.AST) -> Found:
    """Commands that a shell would take apart."""
    shell = option(node, "shell")
    if shell is not None and not is_constant(shell, False):
        yield node.lineno, f"shell={ast.unparse(shell)}"
    if isinstance(node, ast.Attribute) and OF_THE_SYSTEM.fullmatch(ast.unparse(node)):
        yield node.lineno, ast.unparse(node)
    if called(node).startswith("subprocess.") and isinstance(node, ast.Call) and node.args:
        if isinstance(node.args[0], ast.Constant | ast.JoinedStr | ast.BinOp):
            yield node.lineno, f"{called(node)} of a text"
        if called(node) in ("subprocess.getoutput", "subprocess.getstatusoutput"):
            yield node.lineno, called(node)


def evaluations(node: ast.AST) -> Found:
    """Text that is run as a program, tables' own little languages included."""
    name = called(node)
    if name in ("eval", "exec", "__import__"):
        yield node.lineno, name
    if re.fullmatch(r"(pd|pandas)\.eval|.*\.(eval|query)", name):
        yield node.lineno, f"{name.rpartition('.')[2]} of a table"


def guessed_names(node: ast.AST) -> Found:
    """Temporary files whose name another program may take first."""
    if called(node) in ("tempfile.mktemp", "mktemp"):
        yield node.lineno, called(node)


def unpacking(node: ast.AST) -> Found:
    """Archives that are unpacked."""
    name = called(node)
    if name in ("shutil.unpack_archive", "zipfile.ZipFile", "tarfile.open"):
        yield node.lineno, name


NETWORK = (
    "socket", "socketserver", "ssl", "http.client", "http.server", "urllib.request", "urllib3",
    "requests", "httpx", "aiohttp", "ftplib", "smtplib", "telnetlib", "xmlrpc", "kagglehub",
    "huggingface_hub", "boto3", "paramiko", "websockets",
)  # fmt: skip
CODE_IN_DATA = ("pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal")
XML = ("xml", "lxml", "bs4", "html5lib")

CHECKS: dict[str, tuple[Callable[[ast.AST], Found], tuple[str, ...]]] = {
    "modules that turn data into code": (
        imports(*CODE_IN_DATA),
        ("import pickle", "from dill import loads", "import shelve as s", "from marshal import *"),
    ),
    "arrays and tables that can carry code": (
        pickles,
        (
            "np.load(p, allow_pickle=True)", "np.save(p, a, allow_pickle=maybe)",
            "joblib.load(p)", "pd.read_pickle(p)", "table.to_pickle(p)",
            "keras.config.enable_unsafe_deserialization()",
        ),
    ),
    "models that can carry code": (
        unsafe_models,
        (
            "keras.saving.load_model(p, safe_mode=False)", "load_model(p, safe_mode=x)",
            "keras.saving.load_model(p, custom_objects={'A': A})",
            "with keras.utils.custom_object_scope({}): pass", "keras.layers.Lambda(f)",
        ),
    ),
    "YAML that can carry code": (
        unsafe_yaml,
        ("yaml.load(t, yaml.FullLoader)", "yaml.unsafe_load(t)", "from yaml import load"),
    ),
    "commands for a shell": (
        shells,
        (
            "subprocess.run(c, shell=True)", "os.system('x')", "os.popen(c)",
            "subprocess.run(f'rm {p}')", "subprocess.check_output('a' + b)",
            "subprocess.getoutput('x')",
        ),
    ),
    "text that is run": (
        evaluations, ("eval(t)", "exec(t)", "table.query('a > b')", "pd.eval(t)", "t.eval(x)"),
    ),
    "temporary names that are guessed": (guessed_names, ("tempfile.mktemp()",)),
    "XML, which can name other files": (
        imports(*XML), ("import xml.etree.ElementTree as E", "from lxml import etree"),
    ),
    "tools that report their use": (
        imports("openvino", "openvino_telemetry"),
        ("import openvino", "import openvino as ov", "from openvino.tools import ovc"),
    ),
    "the network": (
        imports(*NETWORK),
        ("import socket", "import urllib.request", "from urllib import request",
         "from requests import get", "from http import client", "import kagglehub"),
    ),
}  # fmt: skip
"""What is looked for, and programs that must be found to do it."""


@pytest.mark.parametrize("name", CHECKS)
def test_no_program_has(name: str) -> None:
    found = findings(CHECKS[name][0])
    assert [f"{p}:{line}: {what}" for p, line, what in found if (p, what) not in EXCEPTIONS] == []


@pytest.mark.parametrize(("name", "source"), [(n, s) for n in CHECKS for s in CHECKS[n][1]])
def test_it_would_be_found(name: str, source: str) -> None:
    assert found_in(source, CHECKS[name][0])


@pytest.mark.parametrize(
    "source",
    [
        "np.load(p, allow_pickle=False)", "keras.saving.load_model(p, safe_mode=True)",
        "yaml.safe_load(t)", "subprocess.run(['a', b], shell=False)", "import urllib.parse",
        "from urllib.parse import quote", "joblib.Parallel(n_jobs=2)", "import http",
        "page.evaluate('1')", "ast.literal_eval(t)", "# pickle", "'os.system'",
    ],
)  # fmt: skip
def test_what_is_harmless_is_not_found(source: str) -> None:
    assert [what for check, _ in CHECKS.values() for what in found_in(source, check)] == []


def test_every_exception_is_needed() -> None:
    found = {(path, what) for check, _ in CHECKS.values() for path, _, what in findings(check)}
    assert found == set(EXCEPTIONS)


def in_library(check: Callable[[ast.AST], Found]) -> list[tuple[str, int, str]]:
    return [found for found in findings(check) if found[0].startswith("birads_lib/")]


def test_the_library_says_of_every_array_that_it_takes_no_pickles() -> None:
    assert in_library(unsaid_pickles) == []
    assert found_in("np.load(p, mmap_mode='r')", unsaid_pickles)


def test_the_library_unpacks_no_archive() -> None:
    assert in_library(unpacking) == []
    assert found_in("shutil.unpack_archive(p)", unpacking)
    assert found_in("tarfile.open(p)", unpacking)


def registered(node: ast.AST) -> Found:
    """The package for which a layer is registered."""
    if isinstance(node, ast.Call) and called(node).endswith("register_keras_serializable"):
        yield node.lineno, ast.unparse(node.args[0])


def test_layers_that_files_name_are_registered_for_this_package() -> None:
    packages = [package for *_, package in in_library(registered)]
    assert len(packages) >= 8
    assert set(packages) == {"'birads_lib'"}


# Commands of the graph


@pytest.fixture
def project(tmp_path: Path, small_set) -> Path:
    """A copy of what the graph reads, and in it a data set in a folder of a hostile name."""
    for name in ("notebooks", "book", "Snakefile", "profiles.yml", "_config.yml", "_toc.yml"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    small_set.write(tmp_path / HOSTILE_NAME)
    return tmp_path


HOSTILE_NAME = "a 'b' \"c\"; touch sprung; $(touch sprung) `touch sprung` && {x} *"


def test_a_folder_reaches_the_steps_of_the_graph_as_one_word(project: Path) -> None:
    done = subprocess.run(
        [
            sys.executable, "-m", "snakemake", "run", "--dry-run", "--printshellcmds", "--cores",
            "1", "--config", "profile=smoke", f"data={HOSTILE_NAME}", "distribute=a; touch sprung",
        ],
        cwd=project, env={**graph.environment(), "PYTHONPATH": str(ROOT)}, check=False,
        timeout=120, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    commands = re.findall(r"\bbirads (step .*?) && touch ", done.stdout)
    assert len(commands) == len(CHAPTERS) + 2
    for command in commands:
        words = shlex.split(command)
        assert words[words.index("--data") + 1] == HOSTILE_NAME
        assert words[words.index("--distribute") + 1] == "a; touch sprung"
        assert len(words) == 10, "step, its name, and four options"
    assert not list(project.rglob("sprung"))


def test_make_hands_folders_to_the_shell_as_variables() -> None:
    given = [f"DATA={HOSTILE_NAME.replace('$', '')}", "EXTERNAL=x`touch sprung`"]
    done = subprocess.run(
        ["make", "--dry-run", "run", *given],
        cwd=ROOT, check=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    (command,) = [line for line in done.stdout.splitlines() if "birads study" in line]
    assert "sprung" not in command
    assert '--data "$DATA"' in command
    assert '--external "$EXTERNAL"' in command


# Network


LIGHT = """
import sys
from pathlib import Path
import sound
from birads_lib.cli import main
sound.cascade(Path("cascade"))
Path("tile.png").write_bytes(sound.picture(".png"))
for arguments in (
    ["phantom", "set", "--scale", "0.004", "--positives", "0.4"],
    ["merge", "set", "store"],
    ["audit", "store"],
    ["verify", "store"],
    ["fetch", "mias"],
    ["fetch", "kaggle", "set"],
    ["cbis-labels", "set"],
    ["predict", "cascade", "store", "--out", "read.csv"],
    ["predict", "cascade", "store", "--out", "again.csv", "--engine", "onnx"],
    ["report", "tile.png", "--model", "cascade", "--out", "report.html"],
):
    print(arguments[0], main(arguments), file=sys.stderr)
"""


@pytest.fixture
def watched(tmp_path: Path) -> Callable[[str], tuple[str, str]]:
    """Runs a program; what it said, and what it asked of other computers."""
    tests = ROOT / "tests"
    folders = (tests / "offline", ROOT, tests, tests / "faults")
    asked = tmp_path / "asked"
    places = {"PYTHONPATH": os.pathsep.join(map(str, folders)), "BIRADS_TEST_ASKED": str(asked)}

    def run(code: str) -> tuple[str, str]:
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, **places},
            check=False, capture_output=True, text=True, timeout=900,
        )  # fmt: skip
        return done.stderr, asked.read_text() if asked.exists() else ""

    return run


def test_light_commands_ask_nothing_of_the_network(watched) -> None:
    said, asked = watched(LIGHT)
    codes = re.findall(r"^([a-z-]+) (\d)$", said, re.M)
    assert codes == [
        ("phantom", "0"), ("merge", "0"), ("audit", "0"), ("verify", "0"), ("fetch", "0"),
        ("fetch", "0"), ("cbis-labels", "2"), ("predict", "0"), ("predict", "0"), ("report", "0"),
    ], said  # fmt: skip
    assert asked == ""


@pytest.mark.parametrize(
    ("code", "event"),
    [
        ("import socket; socket.socket().connect_ex(('192.0.2.1', 9))", "connect"),
        ("import urllib.request as r; r.urlopen('http://other.invalid/')", "getaddrinfo"),
        (
            "import socket; s = socket.socket(type=socket.SOCK_DGRAM)\n"
            "s.sendto(b'a', ('192.0.2.1', 9))",
            "sendto",
        ),
        (
            "import joblib, socket\nask = joblib.delayed(socket.gethostbyname)\n"
            "joblib.Parallel(2)(ask(f'{name}.invalid') for name in 'ab')",
            "gethostbyname",
        ),
        ("import os, socket\nif not os.fork(): socket.gethostbyname('a.invalid')", "gethostbyname"),
    ],
)
def test_who_asks_another_computer_is_noticed(watched, code: str, event: str) -> None:
    _, asked = watched(f"import socket; socket.setdefaulttimeout(.1)\n{code}")
    assert re.match(rf"\S*: socket\.{event} .*(192\.0\.2\.1|\.invalid)", asked)


def test_who_asks_this_computer_is_not(watched) -> None:
    said, asked = watched(
        "import socket\n"
        "with socket.create_server(('127.0.0.1', 0)) as s:\n"
        "    socket.create_connection(s.getsockname()).close()\n"
        "socket.getaddrinfo('localhost', 80); socket.gethostbyname(socket.gethostname())\n"
    )
    assert (said, asked) == ("", "")


MESSENGER = (
    "import openvino.tools.ovc as o, sys; print(type(o.telemetry).__module__, file=sys.stderr)"
)


def test_openvino_is_kept_from_telling_of_every_import(watched, monkeypatch) -> None:
    monkeypatch.setenv("CI", "1")  # where its messenger sends nothing
    said, _ = watched(MESSENGER)
    assert "openvino_telemetry" in said, "what keeps it from that is needed"
    said, _ = watched(f"from birads_lib.engines import load_openvino; load_openvino()\n{MESSENGER}")
    assert said == "openvino.tools.ovc.telemetry_stub\n"


# What is installed


def lines_of(name: str) -> list[str]:
    return (ROOT / name).read_text(encoding="utf-8").splitlines()


def test_whatever_is_installed_is_pinned_by_hash() -> None:
    """All but the project itself, which is built by what the lock names."""
    ours = "--no-deps --no-build-isolation -e ."
    files = ("Makefile", "postBuild", ".ci/run", "README.md")
    installs = [line for name in files for line in lines_of(name) if "pip install" in line]
    assert len(installs) == 3
    for line in installs:
        assert "--require-hashes -r requirements.lock" in line or line.endswith(ours)
    assert "--require-hashes" in "".join(installs)


def test_npm_runs_no_script_of_a_package_and_installs_what_is_listed() -> None:
    source = (ROOT / "birads_lib" / "study" / "web.py").read_text(encoding="utf-8")
    assert '"ci", *OPTIONS' in source
    assert '"--ignore-scripts"' in source


# Workflows

USED = re.compile(r"^\s*(?:- )?uses: (?P<action>\S+)@(?P<commit>\S+)(?P<rest>.*)$")
UNPINNED: dict[str, str] = {}
"""Actions that are named by tag, and why."""


def steps(path: Path) -> Iterator[dict]:
    for job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values():
        yield from job["steps"]


def test_there_are_workflows() -> None:
    assert [path.name for path in WORKFLOWS] == ["book.yml", "test.yml"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_named_by_commit_and_say_of_which_release(path: Path) -> None:
    used = [found for line in path.read_text().splitlines() if (found := USED.match(line))]
    assert len(used) == sum("uses" in step for step in steps(path)) > 0
    for found in used:
        if found["action"] not in UNPINNED:
            assert re.fullmatch(r"[0-9a-f]{40}", found["commit"]), found[0]
            assert re.fullmatch(r" # v\d+\.\d+\.\d+", found["rest"]), found[0]


def test_an_action_is_the_same_release_wherever_it_is_used() -> None:
    text = "\n".join(path.read_text() for path in WORKFLOWS)
    pins = {found.groups() for line in text.splitlines() if (found := USED.match(line))}
    assert len({action for action, *_ in pins}) == len(pins)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_starts_with_the_right_to_read_and_keeps_no_key(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    assert "pull_request_target" not in path.read_text()
    assert "workflow_run" not in path.read_text()
    assert "secrets." not in path.read_text()
    checkouts = [s for s in steps(path) if s.get("uses", "").startswith("actions/checkout@")]
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)
    assert not any("${{" in step.get("run", "") for step in steps(path)), "text for a shell"


# The page itself


def test_the_page_says_what_is_promised_and_what_is_not() -> None:
    text = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.+)$", text, re.M) == [
        "What is promised",
        "What is not promised",
        "Reporting a weakness",
    ]
    assert "not a medical device" in text
    assert "security advisory" in text
    assert not re.search(r"\S@\S", text), "no address that nobody reads"
    assert "(SECURITY.md)" in (ROOT / "README.md").read_text(encoding="utf-8")
    for name in re.findall(r"`((?:tests|birads_lib)/[\w/.]+)`", text):
        assert (ROOT / name).exists(), name
