"""The book is served with the headers its networks need, to this computer alone."""

import threading
import urllib.request

from birads_lib.cli import main
from birads_lib.study.server import HOST, ISOLATION, book_server


def test_pages_come_with_the_headers_of_isolation(tmp_path):
    (tmp_path / "index.html").write_text("hello")
    with book_server(0, tmp_path) as server:
        assert server.server_address[0] == HOST
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with urllib.request.urlopen(f"http://{HOST}:{server.server_port}/") as answer:
            assert answer.read() == b"hello"
            assert {name: answer.headers[name] for name in ISOLATION} == ISOLATION
        server.shutdown()


def test_without_a_book_the_command_says_how_to_make_one(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["serve", "--port", "0"]) == 2
    assert "run `make book` first" in capsys.readouterr().err
