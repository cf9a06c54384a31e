"""What the tables' data are: how large, how many masks an evaluation draws."""

import dataclasses

from pix2seq_d.reproduce.recipes import Row


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A public dataset, the user's own, or one that is drawn.

    Attributes:
      flag: of the command, that takes its folder; '' where there is nothing to have.
      title: for people.
      downloads: (file, bytes) of what has to be downloaded.
      exact: whether the bytes are; else they are rounded as the site has them.
      eval_masks: of the evaluation split, first frames only for videos; None: the
        config or the data say it.
      eval_masks_next: later frames of its videos.
    """

    flag: str
    title: str
    downloads: tuple[tuple[str, int], ...] = ()
    exact: bool = True
    eval_masks: int | None = None
    eval_masks_next: int = 0

    @property
    def bytes(self) -> int:
        """Of all downloads."""
        return sum(size for _, size in self.downloads)


# Bytes of COCO: the checksums of tensorflow-datasets 4.9.10 (url_checksums/coco.txt).
# Numbers of images: spec 5.2. Cityscapes' bytes: its download page, from memory, where
# the site rounds. DAVIS, KITTI: the same, with 1,999 frames in the 30 validation
# videos of DAVIS-2017 and 2,981 in the 9 of KITTI-STEP.
_OF_CONFIG = {
    "coco_panoptic": Dataset(
        flag="coco",
        title="COCO 2017 panoptic",
        downloads=(
            ("train2017.zip", 19_336_861_798),
            ("val2017.zip", 815_585_330),
            ("panoptic_annotations_trainval2017.zip", 860_725_834),
        ),
        eval_masks=5000,
    ),
    "cityscapes": Dataset(
        flag="cityscapes",
        title="Cityscapes",
        downloads=(
            ("leftImg8bit_trainvaltest.zip", 11_000_000_000),
            ("gtFine_trainvaltest.zip", 241_000_000),
        ),
        exact=False,
        eval_masks=500,
    ),
    "davis": Dataset(
        flag="davis",
        title="DAVIS-2017 unsupervised, 480p",
        downloads=(("DAVIS-2017-Unsupervised-trainval-480p.zip", 800_000_000),),
        exact=False,
        eval_masks=30,
        eval_masks_next=1999 - 30,
    ),
    "kitti_step": Dataset(
        flag="kitti_step",
        title="KITTI-STEP",
        downloads=(
            ("data_tracking_image_2.zip", 15_000_000_000),
            ("kitti_step.tar.gz", 200_000_000),
        ),
        exact=False,
        eval_masks=9,
        eval_masks_next=2981 - 9,
    ),
    "custom": Dataset(flag="custom", title="your data, a COCO-panoptic folder"),
    "shapes": Dataset(flag="", title="drawn shapes"),
}

FLAGS = {found.flag: found for found in _OF_CONFIG.values() if found.flag}


def of_row(row: Row) -> Dataset:
    """The data that a row trains on and is evaluated on."""
    return _OF_CONFIG[row.config.partition(":")[0]]
