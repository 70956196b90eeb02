"""Pictures without their colours."""

from __future__ import annotations

from nadg.skills.api import Finding, ImageFile, Picture, skill
from nadg.skills.images.files import changed, opened, written


@skill(
    "image.grayscale",
    synonyms=(
        "grayscale",
        "greyscale",
        "gray",
        "grey",
        "black and white",
        "monochrome",
        "desaturate",
        "remove colour",
        "remove color",
    ),
    examples=(
        "convert to grayscale",
        "convert the images to grayscale",
        "make the photos black and white",
        "remove the colours",
    ),
    maps_over="files",
)
def grayscale(image: ImageFile) -> Finding:
    """Turn an image into shades of grey."""
    with opened(image) as source:
        transparent = "A" in source.getbands() or "transparency" in source.info
        grey = source.convert("RGBA").convert("LA") if transparent else source.convert("L")
        file = written(grey, image)
        facts = changed(grey, image, file, source.size)
    return Finding(
        title="Greyscale images",
        headline=f"{image.name}: {grey.width} x {grey.height} pixels in shades of grey.",
        pictures=[Picture(file=file, caption=f"{file} in shades of grey")],
        data=facts,
    )
