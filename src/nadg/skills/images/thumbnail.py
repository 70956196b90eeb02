"""Small previews of pictures."""

from __future__ import annotations

from typing import Annotated

from nadg.skills.api import Finding, ImageFile, Picture, Range, skill
from nadg.skills.images.files import changed, opened, written


@skill(
    "image.thumbnail",
    synonyms=("thumbnail", "thumbnails", "preview", "previews", "icon", "icons", "miniature", "small preview"),
    examples=("make thumbnails of the images", "create previews", "thumbnails of 64 pixels"),
    maps_over="files",
)
def thumbnail(
    image: ImageFile,
    size: Annotated[int, Range(8, 2048), "Pixels of the square that the preview fits into."] = 128,
) -> Finding:
    """Make a small preview of an image. A smaller image keeps its size."""
    from PIL import Image

    with opened(image) as source:
        before = source.size
        preview = source.convert("RGBA") if source.mode in ("P", "PA") else source.copy()
        preview.thumbnail((size, size), Image.Resampling.LANCZOS)
        file = written(preview, image)
        facts = changed(preview, image, file, before)
    return Finding(
        title="Thumbnails",
        headline=f"{image.name}: a preview of {preview.width} x {preview.height} pixels.",
        pictures=[Picture(file=file, caption=f"Preview of {image.name}")],
        data=facts,
    )
