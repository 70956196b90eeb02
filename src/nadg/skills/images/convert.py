"""Pictures in another file format."""

from __future__ import annotations

from typing import Annotated, Literal

from nadg.skills.api import Finding, ImageFile, Picture, Range, skill
from nadg.skills.images.files import changed, opened, written

Format = Literal["png", "jpeg", "jpg", "webp", "tiff", "bmp", "gif"]
_SHOWN_BY_BROWSERS = ("png", "jpeg", "jpg", "webp", "gif")


@skill(
    "image.convert",
    synonyms=(
        "convert format",
        "file format",
        "image format",
        "to png",
        "to jpeg",
        "to jpg",
        "to webp",
        "to tiff",
        "to gif",
        "to bmp",
        "save as",
    ),
    examples=(
        "convert the images to png",
        "convert the photos to webp",
        "save the pictures as jpeg",
        "change the image format to tiff",
    ),
    maps_over="files",
)
def convert(
    image: ImageFile,
    format: Annotated[Format, "The format to write."],  # noqa: A002 - the word that plans use
    quality: Annotated[int, Range(1, 100), "Of jpeg and webp: 100 is best and largest."] = 90,
) -> Finding:
    """Convert an image to another file format. What is transparent becomes white where the format has none."""
    with opened(image) as source:
        file = written(source, image, f".{format}", quality)
        facts = changed(source, image, file, source.size)
    shown = [Picture(file=file, caption=file)] if format in _SHOWN_BY_BROWSERS else []
    return Finding(
        title="Converted images",
        headline=f"{image.name}: written as {file} ({facts['bytes']:,} bytes).",
        pictures=shown,
        files=[] if shown else [file],
        data={**facts, "format": format},
    )
