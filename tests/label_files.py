"""Writing small label maps, and what the tests of readers ask of every error."""

import numpy as np
import pytest
from PIL import Image


def refused(error, message, action, *inputs, **options):
    """Asserts that the action fails with one line that matches `message`."""
    with pytest.raises(error, match=message) as info:
        action(*inputs, **options)
    assert "\n" not in str(info.value)


def save_png(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels)).save(path)
