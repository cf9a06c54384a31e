"""Files of a folder and of a zip file: the same names, the same bytes."""

import concurrent.futures
import random
import zipfile

import pytest

from pix2seq_d.files import Folder, check_names
from pix2seq_d.zip_files import ZipFiles

CONTENT = {"1.png": b"one", "a/1.png": b"two", "a/b/2.png": b"three"}


@pytest.fixture(params=["folder", "zip", "zip with a top folder"])
def files(request, tmp_path):
    if request.param == "folder":
        for name, data in CONTENT.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return Folder(tmp_path)
    top = "top/" if "top" in request.param else ""
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in CONTENT.items():
            packed.writestr(top + name, data)
    return ZipFiles(tmp_path / "x.zip", top.rstrip("/"))


def test_reading_and_listing(files):
    for name, data in CONTENT.items():
        file = files.read(name)
        assert file.data == data
        assert file.where == files.where(name)
        assert file.where.endswith("/" + name)
    assert files.names() == ["1.png"] and files.folders() == ["a"]
    assert files.names("a") == ["1.png"] and files.folders("a") == ["b"]
    assert files.names("none") == [] and files.folders("none") == []
    with pytest.raises(FileNotFoundError, match=r"none\.png: no such file"):
        files.read("none.png")


def test_missing_names_are_counted(files):
    check_names(files, ["a/1.png"], named_by="j.json")
    with pytest.raises(
        FileNotFoundError,
        match=r"lacks 2\.png, a/2\.png, b/1\.png and 1 more \(4 of the 5 files named "
        r"by j\.json\)",
    ):
        names = ["2.png", "a/1.png", "a/2.png", "b/1.png", "b/2.png"]
        check_names(files, names, named_by="j.json")


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none.*: no such folder.*but j\.json"):
        check_names(Folder(tmp_path / "none"), ["x"], named_by="j.json")


def test_many_threads_read_one_zip(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        for k in range(50):
            packed.writestr(f"{k}.txt", str(k) * 10_000)
    files = ZipFiles(tmp_path / "x.zip")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda k: files.read(f"{k}.txt").data, range(50)))
    assert found == [(str(k) * 10_000).encode() for k in range(50)]


def test_damaged_zips_are_named(tmp_path):
    path = tmp_path / "x.zip"
    with pytest.raises(FileNotFoundError, match=r"x\.zip: no such file; check"):
        ZipFiles(path)
    path.write_bytes(b"no zip")
    with pytest.raises(ValueError, match=r"x\.zip: cannot be read as a zip file"):
        ZipFiles(path)
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("1.png", b"abcdef" * 100)
    with pytest.raises(FileNotFoundError, match=r"x\.zip: holds no in\.zip"):
        ZipFiles.within(path, "in.zip")
    data = bytearray(path.read_bytes())
    data[50] ^= 255  # inside the member
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"x\.zip/1\.png: Bad CRC.*download the zip"):
        ZipFiles(path).read("1.png")


def test_no_damage_of_a_zip_has_another_error(tmp_path):
    """Flipped bytes, most of them in the headers: ValueError, OSError, or no harm."""
    path, rng = tmp_path / "x.zip", random.Random(0)
    methods = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2)
    for method in (*methods, zipfile.ZIP_LZMA):
        with zipfile.ZipFile(path, "w", method) as packed:
            for k in range(2):
                packed.writestr(f"{k}\u00e4.png", rng.randbytes(40) * 4)
        data, refused = path.read_bytes(), 0
        for _ in range(150):
            damaged = bytearray(data)
            for _ in range(rng.choice((1, 3))):
                damaged[rng.randrange(len(data))] ^= rng.choice((1, 8, 64, 255))
            path.write_bytes(damaged)
            try:
                files = ZipFiles(path)
                for name in files.names():
                    files.read(name)
            except (ValueError, OSError) as error:
                assert str(error).startswith(str(path)) and "\n" not in str(error)
                refused += 1
        assert refused > 50


@pytest.mark.parametrize(
    ("change", "message"),
    [
        # At 6 and 8: the flag of encryption, the way to compress.
        ((6, 1), "is encrypted, password .*; download .*, or unpack it into a folder"),
        ((8, 8 ^ 77), "compression method .*; download .*, or unpack it into a folder"),
        ((35, 255), "Error -3 while decompressing .*; download the zip again$"),
    ],
)
def test_members_that_cannot_be_unpacked_are_named(tmp_path, change, message):
    position, flip = change
    inner, outer = tmp_path / "in.zip", tmp_path / "out.zip"
    for path in (inner, outer):
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            packed.writestr("1.zip", inner.read_bytes() if path is outer else b"a" * 99)
        data = bytearray(path.read_bytes())
        data[position] ^= flip
        if position < 30:  # stated in the central directory, too
            data[data.index(b"PK\1\2") + position + 2] ^= flip
        if path is outer:
            path.write_bytes(data)
        else:
            damaged = data
    inner.write_bytes(damaged)
    with pytest.raises(ValueError, match=rf"in\.zip/1\.zip: .*{message}"):
        ZipFiles(inner).read("1.zip")
    with pytest.raises(ValueError, match=rf"out\.zip/1\.zip: .*{message}"):
        ZipFiles.within(outer, "1.zip")
