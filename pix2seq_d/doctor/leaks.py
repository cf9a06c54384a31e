"""Images that two splits share: the same file, the same pixels, the same look."""

from collections.abc import Iterator, Sequence

import numpy as np

from pix2seq_d.doctor.facts import Checked
from pix2seq_d.doctor.finding import Finding

# Levels of 255 by which two images of one look differ at most, in any cell of the
# 8 x 8 miniature. Photos of 256 x 256 saved again as JPEG differ by 4 at quality 50
# and 5 at 30; of 535 different ones of one city's facades no two by less than 22.
LOOK_DISTANCE = 6
_CURE = "take it out of one of the two splits"


def find_leaks(
    train: Sequence[Checked], val: Sequence[Checked], *, train_name: str
) -> list[Finding]:
    """Compares the images of two splits.

    Args:
      train: images of the one; findings name them second.
      val: images of the other; findings are about these.
      train_name: name of the first split.
    """
    train = [c for c in train if c.image]
    val = [c for c in val if c.image]
    by_pixels = {c.image.pixel_hash: c for c in train if c.image}
    findings, rest = [], []
    for checked in val:
        assert checked.image
        same = by_pixels.get(checked.image.pixel_hash)
        if same is None:
            rest.append(checked)
            continue
        assert same.image
        files = checked.image.file_hash, same.image.file_hash
        what = "is the same file as" if _same(*files) else "has the same pixels as"
        message = f"{what} {_named(same, train_name)}"
        findings.append(
            Finding("leak", checked.where, message, _CURE, checked.image_id)
        )
    for checked, like in _look_alikes(train, rest):
        message = f"looks the same as {_named(like, train_name)}"
        cure = f"compare them; if they are one picture, {_CURE}"
        findings.append(
            Finding("near_leak", checked.where, message, cure, checked.image_id)
        )
    return findings


def find_duplicates(split: Sequence[Checked]) -> list[Finding]:
    """Images that a split holds twice."""
    findings: list[Finding] = []
    first: dict[str, Checked] = {}
    for checked in split:
        if checked.image is None:
            continue
        same = first.setdefault(checked.image.pixel_hash, checked)
        if same is not checked:
            message = f"has the same pixels as {same.where} (image {same.image_id})"
            cure = "keep one, unless it shall count twice"
            findings.append(
                Finding(
                    "duplicate_image", checked.where, message, cure, checked.image_id
                )
            )
    return findings


def _look_alikes(
    train: Sequence[Checked], val: Sequence[Checked]
) -> Iterator[tuple[Checked, Checked]]:
    """Pairs (of val, of train) whose miniatures differ by little; one for each."""
    if not train or not val:
        return
    looks = np.stack([c.image.look for c in train if c.image]).astype(np.int16)
    # Similar miniatures have similar means: compare those only.
    means = looks.mean(axis=1)
    order: np.ndarray = np.argsort(means)
    looks, means = looks[order], means[order]
    for checked in val:
        assert checked.image
        look = checked.image.look.astype(np.int16)
        window = look.mean() + np.array([-LOOK_DISTANCE, LOOK_DISTANCE])
        low, high = np.searchsorted(means, window)
        distance = np.abs(looks[low:high] - look).max(axis=1)
        if distance.size and distance.min() <= LOOK_DISTANCE:
            yield checked, train[int(order[low + distance.argmin()])]


def _same(a: str, b: str) -> bool:
    return bool(a) and a == b


def _named(checked: Checked, split: str) -> str:
    return f"{checked.where} (image {checked.image_id} of split {split!r})"
