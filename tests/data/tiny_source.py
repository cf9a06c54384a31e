"""A few random labelled images for the tests of this folder."""

import dataclasses

import numpy as np

from pix2seq_d.data.source import DecodedExample
from pix2seq_d.labels import Category, LabelSpace
from pix2seq_d.panoptic import PanopticMap, Segment

LABEL_SPACE = LabelSpace(
    (
        Category(id=3, name="cat", is_thing=True, color=(255, 0, 0)),
        Category(id=7, name="dog", is_thing=True, color=(0, 255, 0)),
        Category(id=92, name="grass", is_thing=False, color=(0, 0, 255)),
    )
)


@dataclasses.dataclass
class TinySource:
    """`n` images of random blocks; image k's first pixel is (k, k, k)."""

    n: int
    sizes: tuple[tuple[int, int], ...] = ((16, 24),)
    broken: int = -1
    label_space: LabelSpace = LABEL_SPACE
    reads: list[int] = dataclasses.field(default_factory=list)

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> DecodedExample:
        self.reads.append(index)
        if index == self.broken:
            raise ValueError(f"{index:03d}.png: truncated file; fetch it again")
        rng = np.random.default_rng(index)
        height, width = self.sizes[index % len(self.sizes)]
        image = rng.integers(0, 256, (height, width, 3), np.uint8)
        image[0, 0] = index
        blocks = rng.integers(0, 6, (4, 4)).astype(np.int32)
        ids = 1000 * np.kron(blocks, np.ones((height // 4, width // 4), np.int32))
        categories = (3, 3, 7, 7, 92)
        segments = tuple(
            Segment(id=1000 * k, category_id=categories[k - 1], is_crowd=k == 4)
            for k in range(1, 6)
            if (blocks == k).any()
        )
        return DecodedExample(
            index, f"{index:03d}.png", image, PanopticMap(ids, segments)
        )


def same_partition(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two id maps are equal up to a one-to-one renaming that fixes 0."""
    pairs = set(zip(a.ravel().tolist(), b.ravel().tolist(), strict=True))
    left, right = {x for x, _ in pairs}, {y for _, y in pairs}
    return len(pairs) == len(left) == len(right) and all(
        (x == 0) == (y == 0) for x, y in pairs
    )
