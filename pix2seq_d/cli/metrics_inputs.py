"""The flags of `launch.metrics` that say how to read files, and the tasks they make."""

import sys
from pathlib import Path

from absl import flags

from pix2seq_d.cli import app
from pix2seq_d.data import label_spaces
from pix2seq_d.evaluation import davis
from pix2seq_d.evaluation.label_coding import LabelCoding
from pix2seq_d.evaluation.readers.array_sequences import ArraySequences
from pix2seq_d.evaluation.readers.coco_pairs import CocoPairs
from pix2seq_d.evaluation.readers.coco_videos import CocoVideos
from pix2seq_d.evaluation.readers.semantic_files import SemanticFiles
from pix2seq_d.evaluation.readers.sequences import Sequences
from pix2seq_d.evaluation.readers.step_sequences import StepSequences
from pix2seq_d.evaluation.tasks.objects import ObjectTask
from pix2seq_d.evaluation.tasks.panoptic import PanopticTask
from pix2seq_d.evaluation.tasks.semantic import SemanticTask
from pix2seq_d.evaluation.tasks.video import TrackingTask, WindowTask

AnyTask = PanopticTask | TrackingTask | WindowTask | ObjectTask | SemanticTask

IGNORE = 255  # of the named classes' PNGs
_STEP = "kitti_step"

# Flag -> the kinds that take it.
_KINDS = {
    "diagnose": ("pq",),
    "bootstrap": ("pq",),
    "seed": ("pq",),
    "gt_pngs": ("pq", "vpq", "stq", "miou"),
    "pred_pngs": ("pq", "vpq", "stq", "miou"),
    "classes": ("stq", "vpq", "miou"),
    "num_classes": ("stq", "vpq", "miou"),
    "things": ("stq", "vpq"),
    "ignore_label": ("stq", "vpq", "miou"),
    "label_divisor": ("stq", "vpq"),
    "void_class": ("stq",),
    "window_sizes": ("vpq",),
    "crowd": ("vpq",),
    "sequences": ("davis",),
}
_CODING = ("num_classes", "things", "ignore_label", "label_divisor")

SECTIONS = {
    "Of pq:": ("diagnose", "bootstrap", "seed"),
    "Of COCO panoptic files:": ("gt_pngs", "pred_pngs"),
    "Of other files of stq, vpq and miou:": ("classes", *_CODING),
    "Of stq:": ("void_class",),
    "Of vpq:": ("window_sizes", "crowd"),
    "Of davis:": ("sequences",),
}


def define(values: flags.FlagValues) -> None:
    """Adds the flags of single kinds."""

    def text(name: str, doc: str) -> None:
        flags.DEFINE_string(name, None, doc, flag_values=values)

    def number(name: str, default: int | None, doc: str, lowest: int) -> None:
        flags.DEFINE_integer(name, default, doc, lower_bound=lowest, flag_values=values)

    flags.DEFINE_boolean(
        "diagnose",
        False,
        "Say what each kind of error costs: the PQ without it.",
        flag_values=values,
    )
    number("bootstrap", 0, "Draws of images for 95 % intervals; 1000 are usual.", 0)
    number("seed", 0, "Of these draws.", 0)
    text("gt_pngs", "Folder of the truth's PNGs, if it is not beside the JSON.")
    text("pred_pngs", "Folder of the prediction's PNGs, likewise.")
    names = [name for name in label_spaces.NAMES if name != "davis"]
    flags.DEFINE_enum(
        "classes",
        None,
        names,
        "Names, things and number of a dataset's classes 0, 1, ... in its order, and "
        f"{IGNORE} to ignore, in place of the flags below; by default, for PNGs of stq "
        "and vpq, kitti_step.",
        flag_values=values,
    )
    number("num_classes", None, "Classes are 0 ... num_classes - 1.", 1)
    flags.DEFINE_list(
        "things",
        None,
        "Classes that have instances, such as 11,13.",
        flag_values=values,
    )
    number("ignore_label", None, "Class of pixels that do not count.", 0)
    number("label_divisor", None, "Of arrays: label = class * it + instance.", 1)
    flags.DEFINE_enum(
        "void_class",
        "counted",
        ["counted", "left_out"],
        "Whether ignore, predicted on a labelled pixel, counts as one more class with "
        "IoU 0, as in deeplab2's code, or only as a miss.",
        flag_values=values,
    )
    flags.DEFINE_list(
        "window_sizes", ["1", "2", "3", "4"], "Numbers of frames.", flag_values=values
    )
    flags.DEFINE_enum(
        "crowd",
        "crowd",
        ["crowd", "segment"],
        "What a thing with instance 0 is in the truth: a crowd, as in the code of "
        "VPQ's authors, or a segment, as in deeplab2.",
        flag_values=values,
    )
    text("sequences", "File with a name on each line; all folders of --gt by default.")


def check(values: flags.FlagValues) -> None:
    """Raises UsageError where a flag is not for the kind."""
    for name, kinds in _KINDS.items():
        if values[name].present and values.kind not in kinds:
            raise app.UsageError(
                f"--{name} is for --kind={' or '.join(kinds)} only; leave it out"
            )


def panoptic(values: flags.FlagValues) -> PanopticTask:
    """PQ of COCO panoptic files."""
    if not _is_json(values):
        raise app.UsageError(
            f"--gt={values.gt}: PQ reads COCO panoptic files; give the JSON"
        )
    pairs = _coco_pairs(values)
    if values.bootstrap and len(pairs) < 2:
        raise app.UsageError(
            f"--bootstrap: {values.gt} has one image, which has no spread; leave it out"
        )
    return PanopticTask(
        pairs,
        diagnose=values.diagnose,
        resamples=values.bootstrap,
        seed=values.seed,
    )


def tracking(values: flags.FlagValues) -> TrackingTask:
    """STQ of videos."""
    sequences, names = _sequences(values)
    return TrackingTask(sequences, names, void_class=values.void_class)


def windows(values: flags.FlagValues) -> WindowTask:
    """VPQ of videos."""
    sequences, names = _sequences(values)
    return WindowTask(
        sequences,
        names,
        window_sizes=_integers(values, "window_sizes"),
        crowd=values.crowd,
    )


def objects(values: flags.FlagValues) -> ObjectTask:
    """J&F of DAVIS."""
    if _is_json(values):
        raise app.UsageError(
            f"--gt={values.gt}: J&F reads folders <sequence>/<frame>.png; give theirs"
        )
    gt, pred = Path(values.gt), Path(values.pred)
    wanted = davis.sequences_of(values.sequences) if values.sequences else None
    names, missing = davis.check(gt, pred, wanted, allow_missing=values.allow_missing)
    return ObjectTask(gt, pred, tuple(names), missing)


def semantic(values: flags.FlagValues) -> SemanticTask:
    """MIoU of COCO panoptic files, or of maps of classes."""
    if _is_json(values):
        _refuse(values, ("classes", *_CODING), "the JSON says it")
        pairs = _coco_pairs(values)
        names = pairs.categories.names
        return SemanticTask(pairs, names, ignore_label=len(names))
    _refuse(values, ("gt_pngs", "pred_pngs"), "--gt and --pred are the folders")
    names, _, ignore = _classes(values, needed=("num_classes", "ignore_label"))
    images = SemanticFiles(
        values.gt,
        values.pred,
        ignore_label=ignore,
        allow_missing=values.allow_missing,
    )
    return SemanticTask(images, names, ignore_label=ignore)


def _sequences(values: flags.FlagValues) -> tuple[Sequences, tuple[str, ...]]:
    """The videos, in whichever layout they are, and names of their classes."""
    allow_missing = values.allow_missing
    if _is_json(values):
        _refuse(values, ("classes", *_CODING), "the JSON says it")
        _check_json_pred(values)
        videos = CocoVideos(
            values.gt,
            values.pred,
            gt_pngs=values.gt_pngs,
            pred_pngs=values.pred_pngs,
            allow_missing=allow_missing,
        )
        return videos, videos.label_space.names()[1:]
    _refuse(values, ("gt_pngs", "pred_pngs"), "--gt and --pred are the folders")
    root = Path(values.gt)
    if not root.is_dir():
        raise FileNotFoundError(f"{root}: no such folder; check the path")
    arrays = any(path.suffix in (".npy", ".npz") for path in root.iterdir())
    if not arrays:
        _refuse(values, ("label_divisor",), "PNGs hold 256 G + B as the instance")
    needed = ("num_classes", "things", "ignore_label")
    if not arrays and all(values[n].value is None for n in ("classes", *needed)):
        # The layout is KITTI-STEP's; labels beyond its classes are an error.
        print(f"classes: those of {_STEP}; --help names others", file=sys.stderr)
        values.classes = _STEP
    names, things, ignore = _classes(values, needed=needed)
    if arrays:
        app.require(values, "label_divisor")
        coding = LabelCoding(len(names), things, ignore, values.label_divisor)
        found: Sequences = ArraySequences(
            root, values.pred, coding=coding, allow_missing=allow_missing
        )
    else:
        found = StepSequences(
            root,
            values.pred,
            num_classes=len(names),
            things=things,
            ignore_label=ignore,
            allow_missing=allow_missing,
        )
    return found, names


def _classes(
    values: flags.FlagValues, *, needed: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[int, ...], int]:
    """Names of the classes, which of them are things, and the label to ignore."""
    if values.classes:
        _refuse(values, needed, f"--classes={values.classes} says it")
        space = label_spaces.read(values.classes)
        kinds = enumerate(space.categories)
        return space.names()[1:], tuple(k for k, c in kinds if c.is_thing), IGNORE
    for name in needed:
        if values[name].value is None:
            raise app.UsageError(
                f"--{name} is missing; give --classes, or {_listed(needed)}"
            )
    names = tuple(f"class {k}" for k in range(values.num_classes))
    things = _integers(values, "things") if "things" in needed else ()
    return names, things, values.ignore_label


def _coco_pairs(values: flags.FlagValues) -> CocoPairs:
    _check_json_pred(values)
    return CocoPairs.open(
        values.gt,
        values.pred,
        gt_folder=values.gt_pngs,
        pred_folder=values.pred_pngs,
        allow_missing=values.allow_missing,
    )


def _is_json(values: flags.FlagValues) -> bool:
    return Path(values.gt).suffix == ".json"


def _check_json_pred(values: flags.FlagValues) -> None:
    if Path(values.pred).is_dir():
        raise app.UsageError(
            f"--pred={values.pred}: is a folder; give the JSON of the predictions, and "
            "--pred_pngs if their PNGs lie elsewhere"
        )


def _integers(values: flags.FlagValues, name: str) -> tuple[int, ...]:
    texts = [text.strip() for text in values[name].value or () if text.strip()]
    if not all(text.isdecimal() for text in texts):
        raise app.UsageError(
            f"--{name}={','.join(texts)}: give whole numbers with commas between"
        )
    return tuple(map(int, texts))


def _refuse(values: flags.FlagValues, names: tuple[str, ...], why: str) -> None:
    for name in names:
        if values[name].present:
            raise app.UsageError(
                f"--{name} is not for these files, {why}; leave it out"
            )


def _listed(names: tuple[str, ...]) -> str:
    return " and ".join([", ".join(f"--{n}" for n in names[:-1]), f"--{names[-1]}"])
