"""Runs of the whole study that the tests of this folder share; they go to one process."""

import os
import shutil
import threading

import pytest
from playwright.sync_api import sync_playwright
from studies import ROOT, SOURCES, birads

from birads_lib.study.server import book_server

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def project(tmp_path_factory):
    """A copy of what a study reads, so that the tests' runs stay out of the tree."""
    folder = tmp_path_factory.mktemp("project")
    for name in SOURCES:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    return folder


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


@pytest.fixture(scope="session")
def real(project, simulated, real_data):
    """The smoke run on real tiles in the Kaggle layout, with its book."""
    tiles = str(real_data / "mias-in-ddsm10-layout")
    done = birads(project, "study", "--profile", "smoke", "--book", "--data", tiles)
    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = (project / "_build" / "run").glob("smoke-*")
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
    """Headless Chromium; absent on a developer's machine tests skip and say so, in CI they fail."""
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"none of {CHROMIUM} is installed")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox", "--disable-background-networking"]
        )
        yield chromium
        chromium.close()


class Visit:
    """One page in a window of its own; what it asked of other hosts and what it complained of."""

    def __init__(self, browser, site, **settings):
        self.context = browser.new_context(**settings)
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
