"""What the tests of a tiny COCO folder's defects share: its parts, and the check."""

from PIL import Image

from pix2seq_d.data.coco_panoptic import CocoPanoptic
from pix2seq_d.doctor.finding import KINDS

JSON = "panoptic_val.json"


def image(folder, name="20.png"):
    return Image.open(folder.images / name).convert("RGB")


def annotation(folder, image_id=20):
    return next(a for a in folder.content["annotations"] if a["image_id"] == image_id)


def entry(folder, image_id=20):
    return next(e for e in folder.content["images"] if e["id"] == image_id)


def segments(folder):
    return annotation(folder)["segments_info"]


def rename_to_jpg(folder):
    """The image is to be a JPEG: its new path."""
    path = folder.images / "20.jpg"
    entry(folder)["file_name"] = "20.jpg"
    return path


def trains(root):
    """Whether training's own reader takes the split."""
    try:
        for example in CocoPanoptic.from_root(root, "val"):
            assert example.image is not None and example.panoptic is not None
    except (ValueError, FileNotFoundError):
        return False
    return True


def assert_named(folder, found, defect):
    """A defect gives the findings that it says; then training would stop, or not.

    Args:
      folder: the tiny folder, intact.
      found: the fixture.
      defect: folder -> the findings expected; sets `content` to None for no JSON.
    """
    expected = defect(folder)
    if folder.content is None:
        folder.json_path.write_text("{")
    else:
        folder.save_json()
    seen = found(folder.root)
    # What follows from a defect may be reported, too, but nothing else.
    follows = {"undescribed_ids", "unnamed_file", "annotation_without_image"}
    assert set(expected) <= set(seen)
    assert [f for f in seen if f not in expected and f[0] not in follows] == []
    errors = any(KINDS[kind].severity == "error" for kind, _, _ in seen)
    assert errors == (not trains(folder.root))
