"""Which layout a dataset folder has, which splits, and how to open one."""

from pathlib import Path

from pix2seq_d.data.coco_panoptic import find_files
from pix2seq_d.data.source import Source
from pix2seq_d.doctor.coco_files import CocoSplit
from pix2seq_d.doctor.source_checks import SourceSplit
from pix2seq_d.doctor.split import Split
from pix2seq_d.files import ZipFiles

LAYOUTS = ("coco_panoptic", "arrays", "cityscapes", "kitti_step", "davis", "vipseg")
_PREFIX = "panoptic_"


def detect(root: Path) -> str:
    """The layout of a folder, where its files tell.

    Raises:
      ValueError: its files do not tell.
    """
    if _coco_splits(root):
        return "coco_panoptic"
    if any(root.glob("*.npz")):
        return "arrays"
    raise ValueError(
        f"{root}: holds no panoptic_*.json, also not in annotations/, and no *.npz; "
        f"name its layout with --layout, one of {', '.join(LAYOUTS)}"
    )


def find_splits(root: Path, layout: str) -> list[str]:
    """Names of the splits of a folder, those to train on first.

    Raises:
      FileNotFoundError: the folder holds none.
    """
    if layout == "coco_panoptic":
        found = _coco_splits(root)
    elif layout == "arrays":
        found = {path.stem for path in root.glob("*.npz")}
    else:
        found = {"train", "val"}
    if not found:
        wanted = "*.npz" if layout == "arrays" else "panoptic_*.json"
        raise FileNotFoundError(
            f"{root}: holds no {wanted}; check --dataset and --layout={layout}"
        )
    return sorted(found, key=lambda name: (not is_train(name), name))


def is_train(split: str) -> bool:
    """Whether a split is one to train on, by its name."""
    return split.startswith("train")


def open_split(layout: str, root: Path, split: str, *, max_instances: int) -> Split:
    """Opens a split for examination.

    Raises:
      FileNotFoundError, ValueError: it cannot be opened at all.
    """
    if layout == "coco_panoptic":
        files = find_files(root, split)
        return CocoSplit(split, *files, max_instances=max_instances)
    source = open_source(layout, root, split)
    where = root / f"{split}.npz" if layout == "arrays" else root
    return SourceSplit(split, source, where=str(where), max_instances=max_instances)


def open_source(layout: str, root: Path, split: str) -> Source:
    """Opens a split of any layout as training does.

    Raises:
      FileNotFoundError, ValueError: as the layout's class; an unknown layout.
    """
    match layout:
        case "coco_panoptic":
            from pix2seq_d.data.coco_panoptic import CocoPanoptic

            return CocoPanoptic.from_root(root, split)
        case "arrays":
            from pix2seq_d.data.arrays import Arrays

            return Arrays(root / f"{split}.npz")
        case "cityscapes":
            from pix2seq_d.data.cityscapes import Cityscapes

            return Cityscapes.from_root(root, split)
        case "kitti_step":
            from pix2seq_d.data.kitti_step import KittiStep

            return KittiStep.from_root(root, split)
        case "davis":
            from pix2seq_d.data.davis import Davis

            return Davis.from_root(root, split)
        case "vipseg":
            from pix2seq_d.data.vipseg import VipSeg

            return VipSeg.from_root(root, split)
    raise ValueError(f"--layout={layout}: unknown; choose auto, {', '.join(LAYOUTS)}")


def _coco_splits(root: Path) -> set[str]:
    places = (root, root / "annotations")
    found = {
        path.stem.removeprefix(_PREFIX)
        for place in places
        for path in place.glob(f"{_PREFIX}*.json")
    }
    for place in places:
        for packed in place.glob("panoptic_annotations_*.zip"):
            names = ZipFiles(packed, "annotations").names()
            found |= {
                name.removeprefix(_PREFIX).removesuffix(".json")
                for name in names
                if name.startswith(_PREFIX) and name.endswith(".json")
            }
    # Category lists and the like have such names, too, but no files beside them.
    complete = {split for split in found if _has_files(root, split)}
    return complete or found


def _has_files(root: Path, split: str) -> bool:
    names = (f"{_PREFIX}{split}", f"annotations/{_PREFIX}{split}", f"images/{split}")
    places = [root / name for name in (*names, split)]
    return any(p.is_dir() or p.with_name(f"{p.name}.zip").is_file() for p in places)
