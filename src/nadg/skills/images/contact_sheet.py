"""All pictures on one sheet."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from nadg.skills.api import Finding, ImageFiles, Picture, Range, skill
from nadg.skills.images.files import check_target, on_white, opened
from nadg.skills.wording import counted, shortened

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

FILE = "contact_sheet.png"
_GAP, _LABEL = 16, 26
_INK, _EDGE = "#2b3440", "#d5dae0"


@skill(
    "image.contact_sheet",
    synonyms=(
        "contact sheet",
        "contactsheet",
        "collage",
        "montage",
        "gallery sheet",
        "photo grid",
        "index print",
        "images on one page",
        "all images in one",
    ),
    examples=(
        "make a contact sheet",
        "put all images on one sheet",
        "create a collage of the photos",
        "a grid of the pictures",
    ),
    produces=("contact_sheet.png",),
)
def contact_sheet(
    images: ImageFiles,
    columns: Annotated[
        int | None, Range(1, 50), "Pictures in a row; left out, a sheet that is about square."
    ] = None,
    size: Annotated[int, Range(32, 1024), "Pixels of the square that each picture fits into."] = 200,
) -> Finding:
    """Put several images on one contact sheet, with their names."""
    from PIL import Image, ImageDraw

    across = min(columns or math.ceil(math.sqrt(len(images))), len(images))
    down = math.ceil(len(images) / across)
    cell_width, cell_height = size + _GAP, size + _LABEL + _GAP
    width, height = across * cell_width + _GAP, down * cell_height + _GAP
    check_target(FILE, width, height)
    sheet = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(sheet)
    for place, path in enumerate(images):
        left = _GAP + place % across * cell_width
        top = _GAP + place // across * cell_height
        with _preview(path, size) as preview:
            _place(sheet, pen, preview, (left, top), size)
        _write_name(pen, path.name, (left, top + size), size)
    sheet.save(FILE, "PNG")
    return Finding(
        title="Contact sheet",
        headline=f"{counted(len(images), 'picture')} on one sheet, {across} across and {down} down.",
        pictures=[Picture(file=FILE, caption=f"Contact sheet of {counted(len(images), 'picture')}")],
        data={"images": [path.name for path in images], "columns": across, "rows": down},
    )


def _preview(path: Path, size: int) -> Image:
    from PIL import Image

    with opened(path) as source:
        flat = on_white(source)
    flat.thumbnail((size, size), Image.Resampling.LANCZOS)
    return flat


def _place(sheet: Image, pen: ImageDraw, preview: Image, corner: tuple[int, int], size: int) -> None:
    left = corner[0] + (size - preview.width) // 2
    top = corner[1] + (size - preview.height) // 2
    sheet.paste(preview, (left, top))
    pen.rectangle((left - 1, top - 1, left + preview.width, top + preview.height), outline=_EDGE)


def _write_name(pen: ImageDraw, name: str, corner: tuple[int, int], size: int) -> None:
    """The file's name below its picture, cut to the width there is."""
    from PIL import ImageFont

    font = ImageFont.load_default(size=13)
    label = shortened(name, max(3, size // 7))
    wide = pen.textlength(label, font=font)
    pen.text((corner[0] + max(0, (size - wide) // 2), corner[1] + 6), label, fill=_INK, font=font)
