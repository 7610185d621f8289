"""Reading the files of a zip or folder: within bounds, and every damage in one sentence."""

import io
import os
import random
import re
import zipfile

import pytest

from siamese_jax.data import members
from siamese_jax.data.members import read_members
from siamese_jax.errors import UserError

WANTED = re.compile(r"(?:.*/)?\d\.png")


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for number in range(3):
            file.writestr(f"top/{number}.png", bytes([number]) * 500)
        file.writestr("top/other.png", b"")
    return path


def test_wanted_files_are_read_from_a_zip_and_from_a_folder(archive, tmp_path):
    zipfile.ZipFile(archive).extractall(tmp_path / "folder")
    for path in (archive, tmp_path / "folder"):
        read = {match[0]: content for match, content in read_members(path, WANTED)}
        assert read == {f"top/{number}.png": bytes([number]) * 500 for number in range(3)}


def test_an_encrypted_zip_is_named(archive):
    content = bytearray(archive.read_bytes())
    central = content.index(b"PK\x01\x02")
    content[central + 8] |= 1
    archive.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.zip is not the published file \(it is encrypted\)"):
        list(read_members(archive, WANTED))


def test_a_zip_inside_a_zip_is_named(tmp_path, archive):
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as file:
        file.write(archive, "python/a.zip")
    with pytest.raises(UserError, match=r"it holds python/a\.zip, which must be unpacked"):
        list(read_members(tmp_path / "b.zip", WANTED))


@pytest.mark.parametrize("size", [70_000, 10 * 2**30])
def test_a_member_that_is_or_says_to_be_huge_is_refused_before_it_is_read(archive, size):
    content = bytearray(archive.read_bytes())
    central = content.index(b"PK\x01\x02")
    content[central + 24 : central + 28] = min(size, 2**32 - 2).to_bytes(4, "little")
    archive.write_bytes(content)
    with pytest.raises(UserError, match=r"top/0\.png has [\d,]+ bytes"):
        list(read_members(archive, WANTED))


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_members_that_unpack_without_a_limit_are_refused(tmp_path, method):
    with zipfile.ZipFile(tmp_path / "a.zip", "w", method) as file:
        file.writestr("0.png", bytes(1000))
    with pytest.raises(UserError, match=r"0\.png is compressed in an unknown way"):
        list(read_members(tmp_path / "a.zip", WANTED))


def test_a_bomb_that_hides_its_size_is_read_only_as_far_as_it_says(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("0.png", bytes(1 << 24))
    content = bytearray(path.read_bytes())
    for place in (content.index(b"PK\x01\x02") + 24, 22):
        content[place : place + 4] = (100).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(UserError, match="Bad CRC-32"):
        list(read_members(path, WANTED))


def test_bounds_hold_for_the_whole_zip_and_folder(archive, tmp_path, monkeypatch):
    zipfile.ZipFile(archive).extractall(tmp_path / "folder")
    monkeypatch.setattr(members, "MOST", 3)
    with pytest.raises(UserError, match="it has 4 files"):
        list(read_members(archive, WANTED))
    with pytest.raises(UserError, match="does not hold the published files .it has more than 3 files"):
        list(read_members(tmp_path / "folder", WANTED))
    monkeypatch.setattr(members, "LARGEST_ZIP", 100)
    with pytest.raises(UserError, match=r"it has \d+ bytes"):
        list(read_members(archive, WANTED))


def test_pipes_and_circles_in_a_folder_are_passed_over(tmp_path):
    (tmp_path / "0.png").write_bytes(b"0")
    os.mkfifo(tmp_path / "1.png")
    (tmp_path / "circle").symlink_to(tmp_path)
    (tmp_path / "2.png").symlink_to(tmp_path / "absent")
    assert [content for _, content in read_members(tmp_path, WANTED)] == [b"0"]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_whatever_byte_is_damaged_the_content_is_right_or_there_is_one_sentence(tmp_path, method):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        for number in range(3):
            file.writestr(f"{number}.png", bytes(range(100)) * 2)
    whole, path, generator = buffer.getvalue(), tmp_path / "a.zip", random.Random(0)
    refused = []
    for _ in range(100):
        content = bytearray(whole)
        for _ in range(generator.choice((1, 1, 4))):
            content[generator.randrange(len(content))] = generator.choice((0, 255, generator.randrange(256)))
        path.write_bytes(content[: generator.choice((None, None, generator.randrange(len(content))))])
        try:
            read = [content for _, content in read_members(path, WANTED)]
        except UserError as error:
            refused.append(str(error))
        else:
            assert all(content == bytes(range(100)) * 2 for content in read)
    assert len(refused) > 20
    assert not any("\n" in problem for problem in refused)
