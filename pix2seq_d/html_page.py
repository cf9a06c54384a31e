"""Pages of HTML in one file: nothing is loaded, on phones and in dark mode too."""

import base64
import importlib.resources
import io
from collections.abc import Sequence
from html import escape

import numpy as np
from PIL import Image


def document(
    *,
    title: str,
    body: Sequence[str],
    style: str = "",
    head: str = "",
    script: str = "",
) -> str:
    """The whole page.

    Args:
      title: of the window, as text.
      body: pieces of HTML.
      style: CSS, after what all pages have.
      head: more of the head, as HTML.
      script: JavaScript that runs when the page is there; without `</script`.
    """
    style = package_text("pix2seq_d", "html_page.css") + style
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            *([head] if head else []),
            f"<title>{escape(title)}</title>",
            f"<style>\n{style}</style>\n</head>\n<body>",
            *body,
            *([f"<script>\n{script}</script>"] if script else []),
            "</body>\n</html>\n",
        ]
    )


def package_text(package: str, name: str) -> str:
    """The text of a file that is installed with a package."""
    return importlib.resources.files(package).joinpath(name).read_text("utf-8")


def jpeg_url(pixels: np.ndarray, *, quality: int) -> str:
    """A picture as a `data:` URL.

    Args:
      pixels: [H, W, 3] uint8.
      quality: of the JPEG, in [1, 95].
    """
    return _url(pixels, "jpeg", quality=quality)


def png_url(pixels: np.ndarray) -> str:
    """A picture as a `data:` URL, exact.

    Args:
      pixels: [H, W, 3] or [H, W] uint8.
    """
    return _url(pixels, "png", optimize=True)


def _url(pixels: np.ndarray, kind: str, **options: int) -> str:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **options)
    return f"data:image/{kind};base64,{base64.b64encode(stream.getvalue()).decode()}"
