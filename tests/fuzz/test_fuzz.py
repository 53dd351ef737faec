"""The first of `make fuzz`, and that a seed means what it says."""

import pytest

from tests.corpus.photos import photos
from tests.fuzz.fuzz import case, run


def test_a_seed_and_a_number_are_a_file() -> None:
    again = [case(7, n).data for n in range(1, 30)]
    assert again == [case(7, n).data for n in range(1, 30)]
    assert len(set(again)) == len(again) and not set(again) & {sample.data for sample in photos()}
    assert case(8, 1).data != case(7, 1).data


@pytest.mark.slow
def test_two_thousand_damaged_files() -> None:
    report = run(seed=4, numbers=range(2000))
    assert not report.wrong, "\n".join(report.wrong)
    assert report.ok, f"the worker's side has grown by {report.growth >> 20} MB"
    assert 100 < report.answers["made"] < 1900, "damage should matter, and not always"
