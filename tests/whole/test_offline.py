"""A study and its book ask nothing of other computers while they run and are built."""

from studies import ASKED


def test_the_study_and_its_book_asked_nothing_of_other_computers(project, pages):
    asked = project / ASKED
    assert (pages / "index.html").is_file()
    assert (asked.read_text() if asked.exists() else "") == ""
