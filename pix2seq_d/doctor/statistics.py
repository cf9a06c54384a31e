"""Counts of a split: classes, instances, crowd, void, sizes."""

import dataclasses
from collections import Counter
from collections.abc import Sequence

from pix2seq_d.doctor.facts import Checked
from pix2seq_d.doctor.finding import Finding
from pix2seq_d.instance_ids import COCO, IdRule
from pix2seq_d.labels import LabelSpace

MUCH = 0.3  # share of the pixels from which crowd or void are worth a note


@dataclasses.dataclass(frozen=True)
class Statistics:
    """Counts over the maps of a split that could be decoded.

    Attributes:
      num_images: such maps.
      segments: category id -> segments with a pixel.
      pixels: category id -> pixels.
      images: category id -> images that show it.
      instances: segments of things in an image, without crowds -> images.
      sizes: (height, width) -> images.
      num_pixels: of all maps.
      crowd_pixels: in crowds.
      void_pixels: without a segment.
      most_numbered: the most segments of an image that need an instance id.
      num_dropped: segments that find no instance id.
    """

    num_images: int
    segments: Counter[int]
    pixels: Counter[int]
    images: Counter[int]
    instances: Counter[int]
    sizes: Counter[tuple[int, int]]
    num_pixels: int
    crowd_pixels: int
    void_pixels: int
    most_numbered: int
    num_dropped: int

    @property
    def num_segments(self) -> int:
        """Segments of all classes that have a pixel."""
        return self.segments.total()

    @property
    def crowd_share(self) -> float:
        """Crowd pixels, as a fraction of all."""
        return self.crowd_pixels / max(1, self.num_pixels)

    @property
    def void_share(self) -> float:
        """Void pixels, as a fraction of all."""
        return self.void_pixels / max(1, self.num_pixels)


def count(checked: Sequence[Checked]) -> Statistics:
    """Adds up the facts of a split's images."""
    segments: Counter[int] = Counter()
    pixels: Counter[int] = Counter()
    images: Counter[int] = Counter()
    maps = [c.map for c in checked if c.map]
    for facts in maps:
        segments.update(facts.segments)
        pixels.update(facts.pixels)
        images.update(facts.segments.keys())
    void = sum(m.void_pixels for m in maps)
    return Statistics(
        num_images=len(maps),
        segments=segments,
        pixels=pixels,
        images=images,
        instances=Counter(m.num_instances for m in maps),
        sizes=Counter(c.image.size for c in checked if c.image),
        num_pixels=sum(m.num_pixels for m in maps),
        crowd_pixels=sum(m.crowd_pixels for m in maps),
        void_pixels=void,
        most_numbered=max((m.num_numbered for m in maps), default=0),
        num_dropped=sum(m.num_dropped for m in maps),
    )


def remarks(
    statistics: Statistics, *, where: str, rule: IdRule = COCO
) -> list[Finding]:
    """Notes on a split with much crowd or, where it has classes, void."""
    found = []
    if statistics.crowd_share > MUCH:
        message = f"{statistics.crowd_share:.0%} of its pixels are crowds"
        cure = "label single objects where you can, a model cannot learn to part them"
        found.append(Finding("much_crowd", where, message, cure))
    if rule.classes and statistics.void_share > MUCH:
        message = f"{statistics.void_share:.0%} of its pixels are void"
        cure = "the model learns to say nothing there; label more if it should not"
        found.append(Finding("much_void", where, message, cure))
    return found


def compare_classes(
    train: Statistics, val: Statistics | None, labels: LabelSpace, *, where: str
) -> list[Finding]:
    """Classes without a training segment.

    Args:
      train: counts of the training split.
      val: of the other splits together, if there are any.
      labels: the categories.
      where: file or folder of the training split.
    """
    found = []
    for category in labels.categories:
        if train.segments[category.id]:
            continue
        name = f"class {category.name!r} (category {category.id})"
        elsewhere = val.segments[category.id] if val else 0
        if elsewhere:
            message = f"{name} has no segment here but {elsewhere} in the validation"
            cure = "add training images that show it; it cannot be learnt"
            found.append(Finding("class_only_in_val", where, message, cure))
        else:
            cure = "add images that show it, or remove the category"
            found.append(
                Finding("class_not_in_train", where, f"{name} has no segment", cure)
            )
    return found


def compare_categories(
    expected: LabelSpace, found: LabelSpace, *, where: str, train_name: str
) -> list[Finding]:
    """Whether two splits have the same categories in the same order."""
    pairs = [
        [(c.id, c.name, "thing" if c.is_thing else "stuff") for c in s.categories]
        for s in (expected, found)
    ]
    if pairs[0] == pairs[1]:
        return []
    cure = "give both splits the same categories in the same order"
    for k, (a, b) in enumerate(zip(*pairs, strict=False)):
        if a != b:
            message = (
                f"categories[{k}] is {b[1]!r} (id {b[0]}, {b[2]}), in split "
                f"{train_name!r} {a[1]!r} (id {a[0]}, {a[2]})"
            )
            return [Finding("categories_differ", where, message, cure)]
    message = (
        f"has {len(pairs[1])} categories, split {train_name!r} has {len(pairs[0])}"
    )
    return [Finding("categories_differ", where, message, cure)]
