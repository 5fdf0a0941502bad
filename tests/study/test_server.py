"""The book is served with the headers its networks need, to this computer alone."""

import gzip
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


def test_text_is_sent_packed_to_who_can_unpack_it_and_pictures_are_not(tmp_path):
    page, picture = b"hello " * 1000, bytes(range(256))
    (tmp_path / "index.html").write_bytes(page)
    (tmp_path / "map.png").write_bytes(picture)
    with book_server(0, tmp_path) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()

        def get(name, **headers):
            place = f"http://{HOST}:{server.server_port}/{name}"
            with urllib.request.urlopen(urllib.request.Request(place, headers=headers)) as answer:
                return answer.headers, answer.read()

        accepts = {"Accept-Encoding": "gzip, deflate, br"}
        headers, sent = get("index.html?q=a", **accepts)
        assert headers["Content-Encoding"] == "gzip"
        assert headers["Content-Type"] == "text/html"
        assert int(headers["Content-Length"]) == len(sent) < len(page) / 10
        assert gzip.decompress(sent) == page
        assert {name: headers[name] for name in ISOLATION} == ISOLATION
        assert get("index.html")[1] == page
        headers, sent = get("map.png", **accepts)
        assert headers["Content-Encoding"] is None
        assert sent == picture
        server.shutdown()
