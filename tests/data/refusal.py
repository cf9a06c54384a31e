"""What the tests of sources ask of every error."""

import pytest


def refused(error, message, action, *arguments):
    """Asserts that the action fails with one line that matches `message`."""
    with pytest.raises(error, match=message) as info:
        action(*arguments)
    text = str(info.value)
    assert "\n" not in text
    # What is wrong, then the cure.
    assert ";" in text or "(" in text


def decode(source, index):
    example = source[index]
    return example.image, example.panoptic
