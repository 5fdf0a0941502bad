"""Runs of the whole study that the tests of this folder share, each in one process."""

import json
import os
import shutil
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
from demo_page import FLOAT32, between, load
from playwright.sync_api import sync_playwright
from studies import birads, copy_study

from birads_lib import Cascade
from birads_lib.files import write_json
from birads_lib.study.server import book_server
from birads_lib.study.web import web_package

PATIENCE = 120_000  # ms that a page may take; machines that run tests are shared
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
REPORT = "BIRADS_BROWSER_REPORT"
"""Names the folder that ``browser.json`` is written to, if any."""


@pytest.fixture(scope="session")
def project(tmp_path_factory):
    """A copy of what a study reads, for the runs that tests share."""
    return copy_study(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="session")
def simulated(project):
    """The smoke run on simulated tiles, with its book."""
    done = birads(project, "study", "--profile", "smoke", "--book")
    assert done.returncode == 0, done.stdout + done.stderr
    shutil.copytree(project / "_build" / "html", project / "html_simulated")
    return project / "_build" / "run" / "smoke"


@pytest.fixture(scope="session")
def pages(project, simulated):
    """Folder of that book's pages."""
    return project / "html_simulated"


HOSTILE = "a 'b' \"c\" <img src=x onerror=alert(1)> & $(touch sprung) {d} `e` | *f* $g$"
"""A name of a folder that no page may take for a part of itself, and no shell for a command."""


@pytest.fixture(scope="session")
def real_tiles(real_data, tmp_path_factory):
    """Folder of real tiles in the Kaggle layout, by a hostile name."""
    folder = tmp_path_factory.mktemp("tiles") / HOSTILE
    return str(shutil.copytree(real_data / "mias-in-ddsm10-layout", folder))


@pytest.fixture(scope="session")
def real(real_tiles, tmp_path_factory):
    """The smoke run on real tiles, in a copy of its own."""
    folder = copy_study(tmp_path_factory.mktemp("real"))
    done = birads(folder, "study", "--profile", "smoke", "--book", "--data", real_tiles)
    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = (folder / "_build" / "run").iterdir()
    return run


@pytest.fixture(scope="session")
def site(pages):
    """Address at which those pages are served on this machine."""
    with book_server(0, pages) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium; without it tests skip and say so, or fail where ``CI`` is set."""
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if found is None:
        missing = pytest.fail if os.environ.get("CI") else pytest.skip
        missing(f"none of {CHROMIUM} is installed")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox", "--disable-background-networking"]
        )
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def axe():
    """The program that looks for what bars people from a page."""
    return (web_package("axe-core") / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def measured(browser):
    """What the browser tests measure, to be quoted; written where ``REPORT`` says.

    ``pages``: by page and window the bytes of its first view, as they lie there (``raw``) and as
    hosts send them (``sent``), and what axe found. ``demo``: of each profile's networks the bytes
    and, by the number of threads, the median milliseconds a tile.
    """
    found = {"browser": browser.version, "processors": os.cpu_count(), "pages": {}, "demo": {}}
    yield found
    if folder := os.environ.get(REPORT):
        write_json(Path(folder) / "browser.json", found)


class Visit:
    """One page in a window of its own; what it asked of other hosts and what it complained of."""

    def __init__(self, browser, site, **settings):
        self.context = browser.new_context(**settings)
        self.context.set_default_timeout(PATIENCE)
        self.page = self.context.new_page()
        self.foreign, self.errors, self.asked = [], [], []
        self.context.route(lambda url: not url.startswith((site, "data:", "blob:")), self._refuse)
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("response", lambda response: self.asked.append(response.url))

    def _refuse(self, route):
        self.foreign.append(route.request.url)
        route.abort()

    def _console(self, message):
        if message.type == "error":
            self.errors.append(f"{message.text} ({message.location.get('url')})")


@pytest.fixture
def visit(browser, site):
    """Opens windows that close with the test."""
    opened = []

    def open_window(**settings):
        opened.append(Visit(browser, site, **settings))
        return opened[-1]

    yield open_window
    for window in opened:
        window.context.close()


# The page that runs the cascade


@pytest.fixture(scope="session")
def manifest(pages):
    """What the build tells the page "Try it"."""
    return json.loads((pages / "demo" / "manifest.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def sample_tiles(pages, manifest):
    """Every sample tile: uint8 (N, 299, 299)."""
    names = [pages / "demo" / sample["file"] for sample in manifest["samples"]]
    return np.stack([cv2.imread(str(name), cv2.IMREAD_GRAYSCALE) for name in names])


@pytest.fixture(scope="session")
def cascade(simulated, sample_tiles):
    """The run's cascade with a threshold that some samples reach and some do not."""
    loaded = Cascade.load(simulated / "models" / "cascade")
    loaded.threshold = between(loaded.predict(sample_tiles)["gate"], FLOAT32)
    return loaded


@pytest.fixture(scope="session")
def reading(cascade, sample_tiles):
    """What it says of the samples, in Python."""
    return cascade.read(sample_tiles)


@pytest.fixture
def open_demo(site, visit, manifest):
    """Opens the page and loads its networks; keywords stand in for entries of the manifest."""

    def opened(settings=None, **changed):
        window = visit(**(settings or {}))
        if changed:
            told = {**manifest, **changed}
            window.page.route("**/demo/manifest.json", lambda route: route.fulfill(json=told))
        load(window, site)
        return window

    return opened


@pytest.fixture
def demo(open_demo):
    """The page as it was built, with its networks loaded."""
    return open_demo()
