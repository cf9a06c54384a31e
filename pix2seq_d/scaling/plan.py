"""The programs that docs/scaling.md speaks of."""

from collections.abc import Iterator

from pix2seq_d.scaling.cases import Case, Overrides
from pix2seq_d.scaling.compiled import Record
from pix2seq_d.scaling.store import Results

# Facts of all of these stand in the results; the model of GPUs needs no more.
RECIPES = (
    *(f"coco_panoptic:{name}" for name in ("mask_prior", "low_res", "high_res")),
    *("coco_panoptic:ablation", "cityscapes", "kitti_step", "davis"),
)
SAMPLER_STEPS = (5, 10, 20)


def _low_res(slice_name: str) -> Case:
    return Case("train", "coco_panoptic:low_res", slice_name)


def _high_res(slice_name: str, batch: int) -> Case:
    overrides: Overrides = () if batch == 16 else (("train.batch_size", batch),)
    return Case("train", "coco_panoptic:high_res", slice_name, overrides)


# Eight images a chip, which the compiler makes most of (docs/performance.md).
_BY_EIGHT: Overrides = (("evaluation.batch_size", 512),)

# In the order of the tables; one image a chip where the batch has no more.
CASES = (
    Case("train", "coco_panoptic:mask_prior", "v5e:16x16"),
    *map(_low_res, ("v5e:16x16", "v5e:8x8", "v6e:8x8", "v5p:4x4x4")),
    _high_res("v5e:4x4", 16),
    _high_res("v5e:4x8", 32),
    _high_res("v5e:8x8", 64),
    _high_res("v6e:8x8", 64),
    _high_res("v5p:4x4x4", 64),
    Case("train", "coco_panoptic:ablation", "v5e:8x8"),
    Case("train", "coco_panoptic:ablation", "v5e:4x4"),
    Case("train", "cityscapes", "v5e:4x4"),
    Case("train", "cityscapes", "v6e:4x4"),
    Case("train", "cityscapes", "v5p:2x2x4"),
    Case("train", "kitti_step", "v5e:4x8"),
    Case("train", "davis", "v5e:4x8"),
    Case("sample", "coco_panoptic:low_res", "v5e:8x8"),
    Case("sample", "coco_panoptic:low_res", "v5e:8x8", _BY_EIGHT),
    Case("sample", "coco_panoptic:low_res", "v6e:8x8"),
    Case("sample", "coco_panoptic:high_res", "v5e:8x8"),
    Case("sample", "coco_panoptic:high_res", "v5e:8x8", _BY_EIGHT),
    Case("sample", "coco_panoptic:high_res", "v6e:8x8"),
    Case("sample", "cityscapes", "v5e:8x8"),
    Case("sample", "cityscapes", "v6e:8x8"),
)

# Weak scaling of low_res: the step whose images a chip keeps, and numbers of chips.
WEAK = (
    (_low_res("v5e:8x8"), (1, 4, 8, 16, 32, 64, 128, 256, 512)),
    (_low_res("v6e:8x8"), (1, 4, 8, 16, 32, 64, 128, 256, 512)),
    (_low_res("v5p:4x4x4"), (1, 4, 8, 16, 32, 64, 128, 256, 512)),
)


def compiled(results: Results, what: str) -> Iterator[tuple[Case, Record]]:
    """Cases of a kind that have a record, in the order of the tables."""
    for case in CASES:
        if case.what == what and case.key in results.cases:
            yield case, results.cases[case.key]
