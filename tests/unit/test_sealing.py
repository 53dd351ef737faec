"""Keys, fields and chunks: what is sealed opens only where it belongs (attack 9 of the security design)."""

import random
from collections.abc import Iterator

import pytest

from app.errors import WrongSetting
from app.security.sealing import (
    CHUNK,
    SEALED_CHUNK,
    TAG,
    AlbumKey,
    ChunkSealer,
    MasterKey,
    SealBroken,
    open_range,
    plain_size,
    sealed_range,
    sealed_size,
)

NAME = "albums/brittany/beach"
SIZES = [0, 1, 100, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK - 1, 2 * CHUNK, 2 * CHUNK + 1, 5 * CHUNK + 77]


def master() -> MasterKey:
    return MasterKey.parse(MasterKey.generate())


def album(album_id: str = "brittany") -> AlbumKey:
    return master().new_album(album_id)[0]


def picture(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def seal(key: bytes, plain: bytes, pieces: int = 70_000) -> bytes:
    sealed = bytearray()
    sealer = ChunkSealer(key, sealed.extend)
    for start in range(0, len(plain), pieces):
        sealer.add(plain[start : start + pieces])
    sealer.finish()
    assert sealer.size == len(plain)
    return bytes(sealed)


def open_all(key: bytes, sealed: bytes, size: int, piece: int = 100_000) -> bytes:
    pieces = (sealed[start : start + piece] for start in range(0, len(sealed), piece))
    return b"".join(open_range(key, pieces, size, 0, size))


# --- the master key


def test_master_key_opens_its_albums_again() -> None:
    text = MasterKey.generate()
    album_key, wrapped = MasterKey.parse(text).new_album("brittany")
    again = MasterKey.parse(text + "\n").open_album("brittany", wrapped)
    assert (
        again.open_field("caption", "photo", album_key.seal_field("caption", "photo", "Rose on the beach"))
        == b"Rose on the beach"
    )
    assert len(text) == 43


@pytest.mark.parametrize("text", ["", "short", "x" * 42, "x" * 44, "x" * 43 + "=x", "ö" * 43, "x" * 42 + " ", "x" * 1000])
def test_text_that_is_no_key_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(WrongSetting) as refused:
        MasterKey.parse(text)
    assert len(text) < 2 or text not in str(refused.value)


def test_both_alphabets_of_base64_name_the_same_key() -> None:
    """So that `openssl rand -base64 32` makes a key as well."""
    assert MasterKey.parse("-_" * 21 + "A").fits(MasterKey.parse("+/" * 21 + "A=").check_value())


def test_another_master_key_opens_nothing_and_is_recognised() -> None:
    right, wrong = master(), master()
    _, wrapped = right.new_album("brittany")
    with pytest.raises(SealBroken):
        wrong.open_album("brittany", wrapped)
    assert right.fits(right.check_value())
    assert not wrong.fits(right.check_value())
    assert not right.fits(b"")


def test_while_the_master_key_is_changed_both_open_and_the_new_one_seals() -> None:
    old, new = MasterKey.generate(), MasterKey.generate()
    key, by_old = MasterKey.parse(old).new_album("brittany")
    both = MasterKey.parse(f" {new} , {old}\n")
    assert both.fits(MasterKey.parse(old).check_value()) and both.fits(MasterKey.parse(new).check_value())
    assert both.check_value() == MasterKey.parse(new).check_value()
    by_new = both.rewrap_album("brittany", by_old)
    for opened in (both.open_album("brittany", by_old), MasterKey.parse(new).open_album("brittany", by_new)):
        assert opened.wrap("x", key.new_object_key(), 1)
        assert opened.fingerprint().digest() == key.fingerprint().digest()
    with pytest.raises(SealBroken):
        MasterKey.parse(old).open_album("brittany", by_new)
    with pytest.raises(SealBroken):
        both.rewrap_album("another", by_old)
    with pytest.raises(WrongSetting):
        MasterKey.parse(f"{new},")


def test_an_album_key_does_not_open_under_another_album() -> None:
    key = master()
    _, wrapped = key.new_album("brittany")
    with pytest.raises(SealBroken):
        key.open_album("christmas", wrapped)


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_keys_have_32_bytes(size: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        MasterKey(bytes(size))


# --- object keys


def test_object_key_is_wrapped_for_its_place_only() -> None:
    brittany, key = album(), AlbumKey.new_object_key()
    wrapped = brittany.wrap(NAME, key, 1000)
    assert brittany.unwrap(NAME, wrapped, 1000) == key
    assert key not in wrapped
    assert len(wrapped) == 61
    assert wrapped[0] == 1
    for name, size in [(NAME, 1001), (NAME, 100), ("albums/brittany/beach2", 1000), ("albums/brittany/beac", 1000)]:
        with pytest.raises(SealBroken):
            brittany.unwrap(name, wrapped, size)
    with pytest.raises(SealBroken):
        album().unwrap(NAME, wrapped, 1000)


def test_wrapping_the_same_key_twice_looks_different() -> None:
    brittany, key = album(), AlbumKey.new_object_key()
    assert brittany.wrap(NAME, key, 1) != brittany.wrap(NAME, key, 1)
    assert AlbumKey.new_object_key() != AlbumKey.new_object_key()


def test_places_can_not_be_shifted_into_each_other() -> None:
    brittany = album()
    sealed = brittany.seal_field("caption", "photo1", "hello")
    for field, row in [("captio", "nphoto1"), ("captionphoto", "1"), ("photo1", "caption"), ("caption", "photo2")]:
        with pytest.raises(SealBroken):
            brittany.open_field(field, row, sealed)


@pytest.mark.parametrize("at", range(61))
def test_every_changed_byte_of_a_wrapped_key_is_noticed(at: int) -> None:
    brittany, key = album(), AlbumKey.new_object_key()
    wrapped = bytearray(brittany.wrap(NAME, key, 5))
    wrapped[at] ^= 1
    with pytest.raises(SealBroken):
        brittany.unwrap(NAME, bytes(wrapped), 5)


@pytest.mark.parametrize("length", [0, 1, 13, 28, 29, 60])
def test_cut_off_values_are_noticed(length: int) -> None:
    brittany = album()
    wrapped = brittany.wrap(NAME, AlbumKey.new_object_key(), 5)
    with pytest.raises(SealBroken):
        brittany.unwrap(NAME, wrapped[:length], 5)
    with pytest.raises(SealBroken):
        brittany.unwrap(NAME, wrapped + b"\0", 5)


# --- fields and fingerprints


@pytest.mark.parametrize("text", ["", "Rose on the beach", "\N{OCTOPUS}" * 50, b"\x00\xff thumb"])
def test_fields_come_back(text: str | bytes) -> None:
    brittany = album()
    sealed = brittany.seal_field("caption", "photo", text)
    assert brittany.open_field("caption", "photo", sealed) == (text.encode() if isinstance(text, str) else text)
    assert sealed != brittany.seal_field("caption", "photo", text)


def test_a_field_is_not_an_object_key() -> None:
    """Purposes have their own keys: a caption that a member writes can't be passed off as a key."""
    brittany = album()
    field = brittany.seal_field("caption", "photo", bytes(32))
    with pytest.raises(SealBroken):
        brittany.unwrap(NAME, field, 5)


def test_fingerprint_knows_the_same_bytes_in_the_same_album_only() -> None:
    brittany, christmas = album("brittany"), album("christmas")

    def digest(key: AlbumKey, *pieces: bytes) -> bytes:
        fingerprint = key.fingerprint()
        for piece in pieces:
            fingerprint.update(piece)
        return fingerprint.digest()

    assert digest(brittany, b"one ", b"photo") == digest(brittany, b"one photo")
    assert digest(brittany, b"one photo") != digest(brittany, b"another photo")
    assert digest(brittany, b"one photo") != digest(christmas, b"one photo")


# --- objects


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("piece", [4_099, CHUNK, 300_001])
def test_objects_come_back_whatever_the_pieces(size: int, piece: int) -> None:
    key, plain = AlbumKey.new_object_key(), picture(size)
    sealed = seal(key, plain, piece)
    assert len(sealed) == sealed_size(size)
    assert plain_size(len(sealed)) == size
    assert open_all(key, sealed, size, piece + 1) == plain


def test_pieces_may_be_any_kind_of_bytes_and_change_afterwards() -> None:
    key, plain, sealed = AlbumKey.new_object_key(), picture(3 * CHUNK), bytearray()
    sealer = ChunkSealer(key, sealed.extend)
    reused = bytearray(plain[:10])
    sealer.add(reused)
    reused[:] = bytes(10)
    sealer.add(memoryview(plain)[10 : CHUNK + 5])
    sealer.add(b"")
    sealer.add(plain[CHUNK + 5 :])
    sealer.finish()
    assert open_all(key, bytes(sealed), len(plain)) == plain


def test_a_finished_object_takes_nothing_more() -> None:
    """One more chunk would use a nonce twice."""
    sealer = ChunkSealer(AlbumKey.new_object_key(), lambda _chunk: None)
    sealer.finish()
    with pytest.raises(ValueError, match="finished"):
        sealer.finish()
    with pytest.raises(ValueError, match="finished"):
        sealer.add(b"more")


def test_a_chunk_that_could_not_be_written_is_not_sealed_again_under_its_nonce() -> None:
    key, written = AlbumKey.new_object_key(), []

    def failing(chunk: bytes) -> None:
        written.append(chunk)
        if len(written) == 1:
            raise OSError("no room")

    sealer = ChunkSealer(key, failing)
    sealer.add(bytes(100))
    with pytest.raises(OSError, match="no room"):
        sealer.add(bytes(CHUNK))
    sealer.add(bytes(CHUNK))
    assert len(written) > 1
    assert len(set(written)) == len(written)


def ranges(size: int) -> Iterator[tuple[int, int]]:
    edges = {0, 1, size // 2, size - 1, size}
    for chunk in range(0, size, CHUNK):
        edges |= {chunk - 1, chunk, chunk + 1}
    inside = sorted(edge for edge in edges if 0 <= edge <= size)
    yield from ((start, stop) for start in inside for stop in inside if start < stop)


@pytest.mark.parametrize("size", [size for size in SIZES if size])
def test_ranges_need_only_their_chunks(size: int) -> None:
    key, plain = AlbumKey.new_object_key(), picture(size)
    sealed = seal(key, plain)
    for start, stop in ranges(size):
        first, after = sealed_range(size, start, stop)
        needed = sealed[first:after]
        assert b"".join(open_range(key, [needed], size, start, stop)) == plain[start:stop]
        assert len(needed) <= (stop - start + 2 * CHUNK) // CHUNK * SEALED_CHUNK
        assert first == start // CHUNK * SEALED_CHUNK


@pytest.mark.parametrize("size", SIZES)
def test_every_changed_region_is_noticed(size: int) -> None:
    key, plain = AlbumKey.new_object_key(), picture(size)
    sealed = seal(key, plain)
    chance = random.Random(size)
    for chunk in range(0, len(sealed), SEALED_CHUNK):
        end = min(chunk + SEALED_CHUNK, len(sealed))
        for at in {chunk, end - 1, end - TAG, chance.randrange(chunk, end)}:
            changed = bytearray(sealed)
            changed[at] ^= 1 << chance.randrange(8)
            with pytest.raises(SealBroken):
                open_all(key, bytes(changed), size)


@pytest.mark.parametrize("size", SIZES)
def test_cutting_off_and_adding_is_noticed(size: int) -> None:
    key, plain = AlbumKey.new_object_key(), picture(size)
    sealed = seal(key, plain)
    shorter = {0, len(sealed) - 1, len(sealed) - TAG, *range(SEALED_CHUNK, len(sealed), SEALED_CHUNK)}
    for length in shorter:
        with pytest.raises(SealBroken):
            open_all(key, sealed[:length], size)
    for added in (b"\0", sealed[-TAG:], sealed[:SEALED_CHUNK], sealed):
        with pytest.raises(SealBroken):
            open_all(key, sealed + added, size)


def test_an_end_is_no_end_elsewhere() -> None:
    """An object of two chunks, shown as one of one chunk and the other way round: the flag of the last chunk tells."""
    key, plain = AlbumKey.new_object_key(), picture(2 * CHUNK)
    sealed = seal(key, plain)
    with pytest.raises(SealBroken):
        open_all(key, sealed[:SEALED_CHUNK], CHUNK)
    with pytest.raises(SealBroken):
        open_all(key, sealed + sealed[:SEALED_CHUNK], 3 * CHUNK)
    with pytest.raises(SealBroken):
        open_all(key, seal(key, plain[:CHUNK]) + sealed[SEALED_CHUNK:], 2 * CHUNK)


def test_chunks_can_not_change_places() -> None:
    key, plain = AlbumKey.new_object_key(), picture(4 * CHUNK)
    sealed = seal(key, plain)
    chunks = [sealed[at : at + SEALED_CHUNK] for at in range(0, len(sealed), SEALED_CHUNK)]
    for first, second in [(0, 1), (1, 2), (0, 3), (2, 3)]:
        moved = list(chunks)
        moved[first], moved[second] = moved[second], moved[first]
        with pytest.raises(SealBroken):
            open_all(key, b"".join(moved), len(plain))
    with pytest.raises(SealBroken):
        open_all(key, b"".join([chunks[0], chunks[0], chunks[2], chunks[3]]), len(plain))


def test_chunks_of_another_object_do_not_fit() -> None:
    plain, one, two = picture(3 * CHUNK), AlbumKey.new_object_key(), AlbumKey.new_object_key()
    mixed = seal(one, plain)[:SEALED_CHUNK] + seal(two, plain)[SEALED_CHUNK:]
    with pytest.raises(SealBroken):
        open_all(one, mixed, len(plain))


def test_nothing_false_is_given_before_it_is_noticed() -> None:
    key, plain = AlbumKey.new_object_key(), picture(3 * CHUNK)
    changed = bytearray(seal(key, plain))
    changed[SEALED_CHUNK + 5] ^= 1
    pieces = open_range(key, [bytes(changed)], len(plain), 0, len(plain))
    assert next(pieces) == plain[:CHUNK]
    with pytest.raises(SealBroken):
        next(pieces)


def test_the_same_photo_twice_is_stored_differently() -> None:
    plain = picture(CHUNK)
    assert seal(AlbumKey.new_object_key(), plain) != seal(AlbumKey.new_object_key(), plain)
