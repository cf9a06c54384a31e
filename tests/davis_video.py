"""Small videos for the tests of J&F, and what they ask of every error."""

import numpy as np
import pytest


def video(seed, *, frames=5, shape=(24, 36), objects=3, proposals=4, void=True):
    """Blobs that jump about; truth with void, and an object that comes late."""
    rng = np.random.default_rng(seed)

    def maps(highest):
        size = (frames, shape[0] // 6, shape[1] // 6)
        coarse = rng.integers(0, highest + 1, size).astype(np.uint8)
        return np.kron(coarse, np.ones((1, 6, 6), np.uint8))

    truth = maps(objects)
    truth[0, 0, 0] = objects
    found = np.where(rng.random((frames, 1, 1)) < 0.7, truth, maps(proposals))
    found[found > proposals] = 0
    found = np.roll(found, 1, axis=2)
    found[0, 0, 0] = proposals
    truth[1:, -3:, -3:] = objects + 2  # not in the first frame
    if void:
        truth[:, 8:13, 10:30] = 255
    return truth, found


def refused(error, message, action, *arguments, **options):
    """Asserts that the action fails with one line: what is wrong, then the cure."""
    with pytest.raises(error, match=message) as info:
        action(*arguments, **options)
    text = str(info.value)
    assert "\n" not in text
    assert ";" in text
