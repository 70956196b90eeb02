"""Pictures of every kind are changed one by one, and what would not fit into memory is refused."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from nadg.domain.errors import UserError
from nadg.skills.call import run_skill

Call = Callable[..., Any]
MODES = ("RGB", "RGBA", "L", "LA", "P", "1", "I;16")


def save(path: Path, mode: str = "RGB", size: tuple[int, int] = (60, 40), **options: Any) -> Path:
    Image.linear_gradient("L").resize(size).convert(mode).save(path, **options)
    return path


@pytest.fixture(params=MODES)
def image(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return save(tmp_path / "picture.png", request.param)


def opened(path: Path) -> tuple[str | None, tuple[int, int], str]:
    with Image.open(path) as image:
        image.load()
        return image.format, image.size, image.mode


def test_resize_keeps_the_shape(call: Call, image: Path, here: Path) -> None:
    result = call("image.resize", image, longest_side=30)
    assert opened(here / result["file"])[:2] == ("PNG", (30, 20))
    assert result["headline"] == "picture.png: from 60 x 40 to 30 x 20 pixels."


@pytest.mark.parametrize(
    ("arguments", "size"),
    [
        ({"width": 30}, (30, 20)),
        ({"height": 80}, (120, 80)),
        ({"width": 10, "height": 10}, (10, 10)),
        ({"longest_side": 1}, (1, 1)),
    ],
)
def test_resize_to_sides(call: Call, tmp_path: Path, here: Path, arguments: Any, size: tuple[int, int]) -> None:
    call("image.resize", save(tmp_path / "p.jpg"), **arguments)
    assert opened(here / "p.jpg") == ("JPEG", size, "RGB")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({}, "no size was given; set the argument 'longest_side', 'width' or 'height' in pixels"),
        ({"width": 3, "longest_side": 3}, "give either 'longest_side' or 'width' and 'height', not both"),
        (
            {"width": 20000, "height": 20000},
            "p.png: would become 20000 x 20000 pixels, more than 100,000,000; ask for less",
        ),
        ({"width": 0}, "argument 'width' is 0; give a whole number from 1 to 20000"),
    ],
)
def test_sizes_that_are_refused(call: Call, tmp_path: Path, arguments: Any, says: str) -> None:
    with pytest.raises(UserError) as refused:
        call("image.resize", save(tmp_path / "p.png"), **arguments)
    assert says in str(refused.value)


def test_grayscale_has_no_colour(call: Call, image: Path, here: Path) -> None:
    call("image.grayscale", image)
    assert opened(here / "picture.png")[2] in ("L", "LA")


def test_a_thumbnail_fits_and_never_grows(call: Call, image: Path, here: Path) -> None:
    call("image.thumbnail", image, size=30)
    assert opened(here / "picture.png")[1] == (30, 20)
    assert call("image.thumbnail", image, size=500)["width"] == 60


@pytest.mark.parametrize(
    ("format_name", "written"),
    [
        ("png", "PNG"),
        ("jpeg", "JPEG"),
        ("jpg", "JPEG"),
        ("webp", "WEBP"),
        ("tiff", "TIFF"),
        ("bmp", "BMP"),
        ("gif", "GIF"),
    ],
)
def test_any_kind_becomes_any_format(call: Call, image: Path, here: Path, format_name: str, written: str) -> None:
    result = call("image.convert", image, format=format_name)
    assert result["file"] == f"picture.{format_name}"
    assert opened(here / result["file"])[:2] == (written, (60, 40))


def test_transparent_becomes_white_where_there_is_no_transparency(call: Call, tmp_path: Path, here: Path) -> None:
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(tmp_path / "p.png")
    call("image.convert", tmp_path / "p.png", format="bmp")
    with Image.open(here / "p.bmp") as image:
        assert image.convert("RGB").getpixel((4, 4)) == (255, 255, 255)


def test_a_camera_held_sideways_is_turned(call: Call, tmp_path: Path, here: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    call("image.grayscale", save(tmp_path / "p.jpg", exif=exif))
    assert opened(here / "p.jpg")[1] == (40, 60)


def test_files_of_one_name_do_not_overwrite_each_other(tmp_path: Path, here: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        item = str(save(tmp_path / folder / "p.png"))
        run_skill("image.grayscale", {}, inputs={}, needs={}, needs_files={}, missing={}, item=item)
    assert sorted(path.name for path in here.iterdir()) == ["p.png", "p_2.png"]


def test_several_inputs_without_foreach_are_handled_one_by_one(call: Call, tmp_path: Path) -> None:
    results = call("image.grayscale", save(tmp_path / "a.png"), save(tmp_path / "b.png"))
    assert [one["file"] for one in results] == ["a.png", "b.png"]


def test_a_contact_sheet_of_all_kinds(call: Call, tmp_path: Path, here: Path) -> None:
    files = [
        save(tmp_path / f"{place}_a_rather_long_name_of_a_file.png", mode) for place, mode in enumerate(MODES)
    ]
    result = call("image.contact_sheet", *files, size=100)
    assert (result["columns"], result["rows"]) == (3, 3)
    assert opened(here / "contact_sheet.png")[1] == (3 * 116 + 16, 3 * 142 + 16)
    assert call("image.contact_sheet", *files, columns=7)["rows"] == 1


def bomb(path: Path, width: int, height: int) -> Path:
    """A PNG of a few bytes that says it unpacks to a great picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rest = chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + rest)
    return path


@pytest.mark.parametrize(
    ("width", "height", "stated"), [(12000, 10000, "12000 x 10000"), (60000, 60000, "more than twice as many")]
)
@pytest.mark.parametrize("skill", ["image.grayscale", "image.contact_sheet", "image.thumbnail"])
def test_decompression_bombs_are_refused(
    call: Call, tmp_path: Path, skill: str, width: int, height: int, stated: str
) -> None:
    with pytest.raises(UserError) as refused:
        call(skill, bomb(tmp_path / "b.png", width, height))
    assert str(refused.value) == (
        f"b.png: would unpack to {stated} pixels, but at most 100,000,000 are read; give a smaller image"
    )


def test_files_that_are_no_whole_image(call: Call, tmp_path: Path) -> None:
    junk = tmp_path / "junk.png"
    junk.write_bytes(b"nothing of the kind")
    with pytest.raises(UserError, match=r"junk.png: not an image that can be read; give PNG, JPEG"):
        call("image.grayscale", junk)
    cut = save(tmp_path / "cut.jpg", size=(400, 400))
    cut.write_bytes(cut.read_bytes()[:-500])
    with pytest.raises(UserError, match=r"cut.jpg: the image is damaged \(.*\); give a whole file"):
        call("image.grayscale", cut)
    with pytest.raises(UserError, match=r"would unpack to|the image is damaged"):
        call("image.grayscale", bomb(tmp_path / "short.png", 100, 100))


def test_an_item_that_is_no_path(here: Path) -> None:
    with pytest.raises(UserError, match=r"the item is 5; give `foreach"):
        run_skill("image.grayscale", {}, inputs={}, needs={}, needs_files={}, missing={}, item=5)
