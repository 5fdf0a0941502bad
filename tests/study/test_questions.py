"""The study's own questions: apart from the paper's statements, and of pairs that are run."""

import re

import pytest

from birads_lib.errors import UsageError
from birads_lib.metrics import COMPARED
from birads_lib.study import paper
from birads_lib.study.questions import PREFIX, QUESTIONS, question
from birads_lib.study.sweeps import read_sweeps


@pytest.fixture(scope="module")
def sweeps():
    return read_sweeps("paper")


def test_no_question_can_be_taken_for_a_statement_of_the_paper():
    ids = [asked.id for asked in QUESTIONS]
    assert len(set(ids)) == len(ids)
    assert all(re.fullmatch(rf"{PREFIX}[a-z0-9]+(-[a-z0-9]+)*", name) for name in ids)
    assert not any(entry.id.startswith(PREFIX) for entry in paper.REGISTER)


@pytest.mark.parametrize("asked", QUESTIONS, ids=lambda q: q.id)
def test_each_pair_is_compared_by_its_sweep(asked, sweeps):
    sweep = sweeps[asked.sweep]
    assert set(asked.pairs) <= set(sweep.compare)
    assert asked.figure in COMPARED
    stages = {sweep.members[name].stage for pair in asked.pairs for name in pair}
    assert stages == {asked.stage}


def test_an_unknown_question_is_refused():
    assert question("study-two-stages").pairs == (("denoised", "five-classes"),)
    with pytest.raises(UsageError, match="question: unknown 'study-three-stages'"):
        question("study-three-stages")
