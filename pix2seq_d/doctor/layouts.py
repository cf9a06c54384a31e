"""Which layout a dataset folder has, which splits, and how to open one."""

from collections.abc import Callable, Iterable
from pathlib import Path

from pix2seq_d.config.training import SOURCES
from pix2seq_d.data import cityscapes_vps
from pix2seq_d.data.coco_panoptic import find_files
from pix2seq_d.data.roots import folder_or_zip
from pix2seq_d.data.sources import open_source
from pix2seq_d.doctor.coco_files import CocoSplit
from pix2seq_d.doctor.source_checks import SourceSplit
from pix2seq_d.doctor.split import Split
from pix2seq_d.files import Folder
from pix2seq_d.instance_ids import CITYSCAPES, COCO, DAVIS, KITTI_STEP, IdRule
from pix2seq_d.zip_files import ZipFiles

LAYOUTS = tuple(name for name in SOURCES if name not in ("shapes", "shapes_video"))
_RULES = {"cityscapes": CITYSCAPES, "kitti_step": KITTI_STEP, "davis": DAVIS}
_OFFICIAL = {"train", "val"}
_COCO = "panoptic_"
_CITYSCAPES = "cityscapes_panoptic_"
_VIPSEG = "panoptic_gt_VIPSeg_"


def choose(root: Path, layout: str, builder: str = "") -> str:
    """The layout that the user names, or, if it is `auto`, that the files tell.

    Args:
      root: the folder.
      layout: `auto` or one of `LAYOUTS`.
      builder: of TFDS.
    Raises:
      FileNotFoundError: no such folder.
      ValueError: no such layout, a builder too many or too few, or the files do
        not tell.
    """
    if layout not in ("auto", *LAYOUTS):
        known = ", ".join(LAYOUTS)
        raise ValueError(f"--layout={layout}: unknown; choose auto, {known}")
    if layout == "tfds" and not builder:
        raise ValueError(
            "--builder is missing; name the dataset of TFDS: "
            "--builder=coco/2017_panoptic"
        )
    if builder and layout not in ("auto", "tfds"):
        raise ValueError(
            f"--builder={builder}: is for --layout=tfds, not {layout}; leave one out"
        )
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder; check --dataset")
    if builder:
        return "tfds"
    return detect(root) if layout == "auto" else layout


def detect(root: Path) -> str:
    """The layout of a folder, where its files tell.

    Raises:
      ValueError: its files do not tell.
    """
    for layout, is_layout in _SIGNS.items():
        if is_layout(root):
            return layout
    raise ValueError(
        f"{root}: holds no panoptic_*.json, also not in annotations/, no *.npz, no "
        "gtFine/, panoptic_maps/ or JPEGImages/ with folders of videos; name its "
        f"layout with --layout, one of {', '.join(LAYOUTS)}, or convert it, see --help"
    )


def find_splits(root: Path, layout: str, builder: str = "") -> list[str]:
    """Names of the splits of a folder, those to train on first.

    Raises:
      FileNotFoundError: the folder holds none.
    """
    match layout:
        case "coco_panoptic":
            found = _coco_splits(root)
        case "arrays":
            found = {path.stem for path in root.glob("*.npz")}
        case "cityscapes":
            found = _official(_cityscapes_splits(root))
        case "kitti_step":
            places = _kitti_step_places(root)
            found = _official(s for place in places for s in Folder(place).folders())
        case "davis":
            lists = (root / "ImageSets" / "2017").glob("*.txt")
            found = _official((path.stem for path in lists), default={"all"})
        case "vipseg":
            paths = [p for place in _vipseg_places(root) for p in _vipseg_jsons(place)]
            found = _official(path.stem.removeprefix(_VIPSEG) for path in paths)
        case "cityscapes_vps":
            found = _official(cityscapes_vps.find_splits(root))
        case _:
            from pix2seq_d.data.tfds_source import find_splits as find_tfds_splits

            found = set(find_tfds_splits(builder, str(root)))
    if not found:
        wanted = "*.npz" if layout == "arrays" else "panoptic_*.json"
        raise FileNotFoundError(
            f"{root}: holds no {wanted}; check --dataset and --layout={layout}"
        )
    return sorted(found, key=lambda name: (not is_train(name), name))


def is_train(split: str) -> bool:
    """Whether a split is one to train on, by its name."""
    return split.startswith("train")


def open_split(
    layout: str,
    root: Path,
    split: str,
    *,
    max_instances: int,
    rule: IdRule,
    builder: str = "",
) -> Split:
    """Opens a split for examination, as a training or an evaluation would read it.

    Args:
      layout: one of `LAYOUTS`.
      root: the folder.
      split: name.
      max_instances: of the model, 0 included.
      rule: which segments have instance ids.
      builder: of TFDS.
    Raises:
      FileNotFoundError, ValueError: it cannot be opened at all.
    """
    if layout == "coco_panoptic":
        files = find_files(root, split)
        return CocoSplit(split, *files, max_instances=max_instances, rule=rule)
    source = open_source(
        layout, str(root), split, builder=builder, has_void=not is_train(split)
    )
    where = root / f"{split}.npz" if layout == "arrays" else root
    return SourceSplit(
        split,
        source,
        where=str(where),
        max_instances=max_instances,
        rule=rule,
    )


def id_rule(layout: str, builder: str = "") -> IdRule:
    """Which segments have instance ids, in the dataset that has the layout."""
    if layout == "tfds":
        layout = builder.partition("/")[0]
    return _RULES.get(layout, COCO)


def _official(
    found: Iterable[str], default: Iterable[str] = tuple(_OFFICIAL)
) -> set[str]:
    """Of the splits found, those with labels: a test split has none, or empty ones."""
    names = set(found)
    return names & _OFFICIAL or names or set(default)


def _coco_splits(root: Path) -> set[str]:
    places = (root, root / "annotations")
    found = {
        path.stem.removeprefix(_COCO)
        for place in places
        for path in place.glob(f"{_COCO}*.json")
    }
    for place in places:
        for packed in place.glob("panoptic_annotations_*.zip"):
            names = ZipFiles(packed, "annotations").names()
            found |= {
                name.removeprefix(_COCO).removesuffix(".json")
                for name in names
                if name.startswith(_COCO) and name.endswith(".json")
            }
    # Category lists and the like have such names, too, but no files beside them.
    complete = {split for split in found if _has_files(root, split)}
    return complete or found


def _has_files(root: Path, split: str) -> bool:
    names = (f"{_COCO}{split}", f"annotations/{_COCO}{split}", f"images/{split}")
    places = [root / name for name in (*names, split)]
    return any(p.is_dir() or p.with_name(f"{p.name}.zip").is_file() for p in places)


def _is_cityscapes(root: Path) -> bool:
    names = ("gtFine", "leftImg8bit")
    return any(
        (root / name).is_dir() or (root / f"{name}_trainvaltest.zip").is_file()
        for name in names
    )


def _cityscapes_splits(root: Path) -> set[str]:
    labels = folder_or_zip(root, "gtFine", "gtFine_trainvaltest.zip")
    if labels is None:
        return set()
    jsons = {
        name.removeprefix(_CITYSCAPES).removesuffix(".json").removesuffix("_trainId")
        for name in labels.names()
        if name.startswith(_CITYSCAPES) and name.endswith(".json")
    }
    return jsons | set(labels.folders())


def _kitti_step_places(root: Path) -> list[Path]:
    places = (root / "panoptic_maps", root / "kitti-step" / "panoptic_maps")
    return [place for place in places if place.is_dir()]


def _is_davis(root: Path) -> bool:
    # Pascal VOC has folders of these names, with files in them.
    names = ("Annotations", "Annotations_unsupervised")
    has_labels = any(Folder(root / name).folders() for name in names)
    return has_labels and bool(Folder(root / "JPEGImages").folders())


def _vipseg_places(root: Path) -> tuple[Path, Path]:
    return root, root / "VIPSeg_720P"


def _vipseg_jsons(place: Path) -> list[Path]:
    return list(place.glob(f"{_VIPSEG}*.json"))


def _is_vipseg(root: Path) -> bool:
    return any(
        (place / "panomasksRGB").is_dir() or _vipseg_jsons(place)
        for place in _vipseg_places(root)
    )


# In this order: the JSONs of VIPSeg and Cityscapes-VPS have names like COCO's.
_SIGNS: dict[str, Callable[[Path], bool]] = {
    "vipseg": _is_vipseg,
    "cityscapes_vps": lambda root: any(root.glob("panoptic_*_city_vps.json")),
    "coco_panoptic": lambda root: bool(_coco_splits(root)),
    "arrays": lambda root: any(root.glob("*.npz")),
    "cityscapes": _is_cityscapes,
    "kitti_step": lambda root: bool(_kitti_step_places(root)),
    "davis": _is_davis,
}
