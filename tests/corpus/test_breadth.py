"""Every tag that exiftool can write in every format: none of them comes out."""

from pathlib import Path

import pytest

from app.ingest.decoding import Decoded
from tests.corpus.breadth import samples
from tests.corpus.judge import Judge
from tests.corpus.taking import taking

LEAST = 60  # canaries that a format must have taken


@pytest.mark.slow
def test_no_tag_that_exiftool_can_write_comes_out(tmp_path: Path) -> None:
    judge = Judge(tmp_path)
    with taking() as taker:
        for sample in samples():
            assert len(sample.canaries.words) >= LEAST, sample.name
            answer, made = taker.take(sample.data)
            assert isinstance(answer, Decoded), (sample.name, answer)
            assert not sample.canaries.found_in(repr((answer.removed, answer.thumbhash)).encode())
            for each in made:
                judge.look(f"{sample.name}-{each.name}", each.mime, each.data, sample.canaries)
    verdict = judge.verdict()
    assert not verdict, "\n".join(verdict)
