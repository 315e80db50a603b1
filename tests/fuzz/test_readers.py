"""No text costs more than in proportion to its length: the quick part. `make fuzz` tries every piece up to every reader's limit."""

import pytest

from tests.fuzz.__main__ import LEAST, WEIGHED
from tests.fuzz.measure import BYTES_A_CHARACTER, BYTES_BESIDE, compare, peak_bytes
from tests.fuzz.readers import FAST, READERS, Reader


def test_enough_readers_are_tried_each_under_a_name_of_its_own() -> None:
    names = [reader.name for reader in READERS]
    assert len(names) == len(set(names)) >= 32


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_a_doubled_text_costs_at_most_three_times_as_much(reader: Reader) -> None:
    size = min(reader.most, 2 * LEAST)
    texts = [(reader.frames[0], piece) for piece in (*FAST, *reader.pieces)]
    texts += [(frame, piece) for frame in reader.frames[1:] for piece in (*FAST[:5], *reader.pieces[:3])]
    found = [compare(reader, frame, piece, size) for frame, piece in texts]
    assert [one for one in found if one is not None] == []


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_a_text_takes_memory_in_proportion_to_its_length(reader: Reader) -> None:
    size = min(reader.most, WEIGHED) // 5
    for piece in (FAST[0], FAST[3], *reader.pieces[:1]):
        assert peak_bytes(reader, reader.frames[0], piece, size) < BYTES_BESIDE + BYTES_A_CHARACTER * size
