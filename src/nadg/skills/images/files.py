"""Pictures read safely and written beside each other without losing one."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from nadg.domain.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_PIXELS = 100_000_000
"""Four bytes each in memory; a small file that unpacks to more is refused as a decompression bomb."""
FORMATS = {"png": "PNG", "jpeg": "JPEG", "jpg": "JPEG", "webp": "WEBP", "tiff": "TIFF", "bmp": "BMP", "gif": "GIF"}
_WRITTEN_AS_THEY_ARE = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif")
_WITHOUT_TRANSPARENCY = ("JPEG", "BMP")


@contextlib.contextmanager
def opened(path: Path) -> Iterator[Image]:
    """The first frame of a picture, turned the way its camera says. Raises UserError on anything unfit."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's own doubts: what is too large is refused just below
            with Image.open(path) as image:
                _check_size(path, image.size)
                image.load()
                turned = ImageOps.exif_transpose(image)
    except UnidentifiedImageError as error:
        raise UserError(
            f"{path.name}: not an image that can be read; give PNG, JPEG, WebP, TIFF, BMP or GIF"
        ) from error
    except Image.DecompressionBombError as error:
        raise UserError(_too_large(path, "more than twice as many")) from error
    except (OSError, SyntaxError, ValueError) as error:  # how Pillow reports a broken file
        raise UserError(f"{path.name}: the image is damaged ({error}); give a whole file") from error
    with turned:
        yield turned


def written(image: Image, source: Path, suffix: str | None = None, quality: int = 90) -> str:
    """Write the picture into the current folder, named after its source; the name is returned.

    Without a `suffix` it keeps the format of its source where that can be written, else it becomes PNG.
    """
    own = source.suffix.lower()
    ending = suffix or (own if own in _WRITTEN_AS_THEY_ARE else ".png")
    target = _free_path(source.stem + ending)
    format_name = FORMATS[{".tif": "tiff"}.get(ending, ending[1:])]
    ready = _ready(image, format_name)
    if format_name in ("JPEG", "WEBP"):
        ready.save(target, format_name, quality=quality)
    else:
        ready.save(target, format_name)
    return target.name


def check_target(name: str, width: int, height: int) -> None:
    """Raises UserError where a picture of this size would be too large to make."""
    if width * height > MOST_PIXELS:
        raise UserError(f"{name}: would become {width} x {height} pixels, more than {MOST_PIXELS:,}; ask for less")


def on_white(image: Image) -> Image:
    """The picture without transparency."""
    from PIL import Image

    with image.convert("RGBA") as layered:
        ground = Image.new("RGBA", layered.size, "white")
        ground.alpha_composite(layered)
        return ground.convert("RGB")


def _ready(image: Image, format_name: str) -> Image:
    """The picture in a mode that the format can hold."""
    transparent = "A" in image.getbands() or "transparency" in image.info
    if format_name in _WITHOUT_TRANSPARENCY and transparent:
        return on_white(image)
    if image.mode in ("1", "L", "RGB"):
        return image
    if image.mode == "LA" and format_name == "PNG":
        return image
    if format_name == "TIFF" or (format_name == "PNG" and image.mode.startswith("I;16")):
        return image
    return image.convert("RGBA" if transparent else "RGB")


def _check_size(path: Path, size: tuple[int, int]) -> None:
    if size[0] * size[1] > MOST_PIXELS:
        raise UserError(_too_large(path, f"{size[0]} x {size[1]}"))


def _too_large(path: Path, stated: str) -> str:
    return (
        f"{path.name}: would unpack to {stated} pixels, but at most {MOST_PIXELS:,} are read; give a smaller image"
    )


def _free_path(name: str) -> Path:
    """Two sources may be named alike but for their folder or ending: the second gets a number."""
    wanted = Path(name)
    number = 1
    while wanted.exists():
        number += 1
        wanted = Path(f"{Path(name).stem}_{number}{Path(name).suffix}")
    return wanted


def changed(image: Image, source: Path, file: str, before: tuple[int, int]) -> dict[str, object]:
    """What is told of a picture that was made from another."""
    return {
        "source": source.name,
        "file": file,
        "width": image.width,
        "height": image.height,
        "source_width": before[0],
        "source_height": before[1],
        "bytes": Path(file).stat().st_size,
    }
