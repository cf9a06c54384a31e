"""COCO panoptic datasets: folders or the official zip files, any categories."""

import functools
from pathlib import Path

from pix2seq_d.data.source import EncodedExample
from pix2seq_d.files import Files, Folder, ZipFiles, check_names
from pix2seq_d.image_files import File
from pix2seq_d.panoptic_files import decode_map
from pix2seq_d.panoptic_index import read_index


class CocoPanoptic:
    """Images with COCO panoptic labels, in the order of their image ids.

    The constructor reads the JSON and lists the folders, so that broken references
    show at once; pixels are decoded, and checked, at access. Images without an
    annotation are left out. `segments_info` may describe segments without a pixel
    (tiny ones vanish when maps are scaled); an id in a PNG that `segments_info`
    does not describe is an error. Source: spec 5.5; the reference has no loader.

    Args:
      images: the images.
      json_file: the panoptic JSON; `label_space` is its `categories`, in its order.
      pngs: the id PNGs.
    Raises:
      FileNotFoundError: an image or a PNG is missing.
      ValueError: the JSON is no consistent COCO panoptic JSON.
    """

    def __init__(
        self, images: Files | Path, json_file: File | Path, pngs: Files | Path
    ) -> None:
        images = Folder(images) if isinstance(images, Path) else images
        pngs = Folder(pngs) if isinstance(pngs, Path) else pngs
        self._images, self._pngs = images, pngs
        self._index = read_index(json_file)
        self.label_space = self._index.label_space()
        self._index.check_categories(self.label_space.semantic_of)
        # JSON ids are numbers or text; numbers come first.
        self._image_ids = sorted(
            self._index.rows, key=lambda i: (isinstance(i, str), i)
        )
        check_names(
            images,
            [self._index.images[i] for i in self._image_ids],
            named_by=f"images of {self._index.path}",
        )
        check_names(
            pngs,
            self._index.file_names,
            named_by=f"annotations of {self._index.path}",
        )

    @classmethod
    def from_root(cls, root: Path | str, split: str) -> "CocoPanoptic":
        """Finds a split in a folder, unpacked or as downloaded.

        Images are in `images/<split>/` or `<split>/`; `panoptic_<split>.json` and
        the folder `panoptic_<split>/` are in the root or in `annotations/`. Each
        folder may be a zip file of the same name, and the annotations may lie in
        `panoptic_annotations_*.zip`. The official splits are `train2017` and
        `val2017`.

        Raises:
          FileNotFoundError: root, split or one of the three is missing.
          ValueError: root or split is empty, or as the constructor.
        """
        return cls(*find_files(root, split))

    def __len__(self) -> int:
        return len(self._image_ids)

    def __getitem__(self, index: int) -> EncodedExample:
        """Reads example `index`; errors at access and at decoding name the file.

        Raises:
          IndexError: past the end.
        """
        image_id = self._image_ids[index]
        file_name = self._index.images[image_id]
        return EncodedExample(
            image_id,
            file_name,
            image_file=self._images.read(file_name),
            label_file=self._pngs.read(self._index.png_name(image_id)),
            decode_labels=functools.partial(
                decode_map,
                segments=self._index.segments(image_id),
                described_in=self._index.path,
            ),
        )


def find_files(root: Path | str, split: str) -> tuple[Files, File, Files]:
    """Images, panoptic JSON and id PNGs of a split; see `CocoPanoptic.from_root`."""
    if not str(root):
        raise ValueError(
            "the dataset's root is empty; set it to a folder in COCO panoptic "
            "layout (--config.data.source.root=DIR)"
        )
    if not split:
        raise ValueError("the dataset's split is empty; name one, such as 'train'")
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(
            f"{root}: no such folder; set the dataset's root to a folder in COCO "
            "panoptic layout"
        )
    json_file, pngs = _find_labels(root, split)
    images = _folder_or_zip(root / "images", split) or _folder_or_zip(root, split)
    if images is None:
        raise FileNotFoundError(
            f"{root}: no folder images/{split}/ or {split}/, nor {split}.zip; put the "
            f"images of panoptic_{split}.json there"
        )
    return images, json_file, pngs


def _find_labels(root: Path, split: str) -> tuple[File, Files]:
    name = f"panoptic_{split}"
    for place in (root, root / "annotations"):
        if (place / f"{name}.json").is_file():
            pngs = _folder_or_zip(root, name) or _folder_or_zip(place, name)
            if pngs is None:
                raise FileNotFoundError(
                    f"{root}: no folder {name}/ nor {name}.zip beside {name}.json; put "
                    "the id PNGs there"
                )
            return File.read(place / f"{name}.json"), pngs
        for packed in sorted(place.glob("panoptic_annotations_*.zip")):
            outer = ZipFiles(packed, "annotations")
            if f"{name}.json" in outer.names():
                inner = ZipFiles.within(packed, f"annotations/{name}.zip", name)
                return outer.read(f"{name}.json"), inner
    raise FileNotFoundError(_no_split(root, split))


def _folder_or_zip(place: Path, name: str) -> Files | None:
    if (place / name).is_dir():
        return Folder(place / name)
    packed = place / f"{name}.zip"
    if packed.is_file():
        # The official zips hold a folder of their own name.
        inside = name if name in ZipFiles(packed).folders() else ""
        return ZipFiles(packed, inside)
    return None


def _no_split(root: Path, split: str) -> str:
    files = [*root.glob("panoptic_*.json"), *root.glob("annotations/panoptic_*.json")]
    found = sorted({f.stem.removeprefix("panoptic_") for f in files})
    if found:
        return (
            f"{root}: no panoptic_{split}.json; splits found: {', '.join(found)}; "
            "name one of them"
        )
    return (
        f"{root}: no panoptic_{split}.json here or in annotations/, nor of any other "
        "split; give a folder in COCO panoptic layout"
    )
