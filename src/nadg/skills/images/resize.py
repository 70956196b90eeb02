"""Pictures made larger or smaller."""

from __future__ import annotations

from typing import Annotated

from nadg.domain.errors import UserError
from nadg.skills.api import Finding, ImageFile, Picture, Range, skill
from nadg.skills.images.files import changed, check_target, opened, written


@skill(
    "image.resize",
    synonyms=(
        "resize",
        "resize images",
        "scale",
        "rescale",
        "shrink",
        "enlarge",
        "downscale",
        "upscale",
        "pixels wide",
        "make smaller",
        "make bigger",
        "px",
        "pixels",
    ),
    examples=(
        "resize the images to 200 px",
        "scale the photos to 800 pixels wide",
        "shrink the pictures",
        "make all images 1024 pixels",
    ),
    maps_over="files",
)
def resize(
    image: ImageFile,
    longest_side: Annotated[int | None, Range(1, 20000), "Pixels of the longer side; the other follows."] = None,
    width: Annotated[
        int | None, Range(1, 20000), "Pixels across; the height follows unless given as well."
    ] = None,
    height: Annotated[
        int | None, Range(1, 20000), "Pixels upwards; the width follows unless given as well."
    ] = None,
) -> Finding:
    """Resize an image."""
    from PIL import Image

    with opened(image) as source:
        before = source.size
        size = _new_size(before, longest_side, width, height)
        check_target(image.name, *size)
        with source.convert("RGBA" if source.mode in ("P", "PA") else source.mode) as full:
            resized = full.resize(size, Image.Resampling.LANCZOS)
        file = written(resized, image)
        facts = changed(resized, image, file, before)
    return Finding(
        title="Resized images",
        headline=f"{image.name}: from {before[0]} x {before[1]} to {size[0]} x {size[1]} pixels.",
        pictures=[Picture(file=file, caption=f"{file}, {size[0]} x {size[1]}")],
        data=facts,
    )


def _new_size(
    old: tuple[int, int], longest_side: int | None, width: int | None, height: int | None
) -> tuple[int, int]:
    """The sides that were asked for; one that was left out keeps the picture's shape."""
    if longest_side is not None and (width is not None or height is not None):
        raise UserError("image.resize: give either 'longest_side' or 'width' and 'height', not both")
    if width is not None and height is not None:
        return width, height
    if width is not None:
        factor = width / old[0]
    elif height is not None:
        factor = height / old[1]
    elif longest_side is not None:
        factor = longest_side / max(old)
    else:
        raise UserError(
            "image.resize: no size was given; set the argument 'longest_side', 'width' or 'height' in pixels"
        )
    return max(1, round(old[0] * factor)), max(1, round(old[1] * factor))
