"""COCO panoptic datasets: folders or the official zip files, any categories."""

import functools
from pathlib import Path

from pix2seq_d.data.roots import check_root, folder_or_zip, no_split
from pix2seq_d.data.source import EncodedExample
from pix2seq_d.files import Files, Folder, check_names
from pix2seq_d.image_files import File
from pix2seq_d.panoptic_files import decode_map
from pix2seq_d.panoptic_index import read_index
from pix2seq_d.zip_files import ZipFiles

_LAYOUT = "COCO panoptic"


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
      max_missing: how many images, and how many PNGs, may be missing; their
        examples fail at access.
    Raises:
      FileNotFoundError: more images or PNGs are missing.
      ValueError: the JSON is no consistent COCO panoptic JSON.
    """

    def __init__(
        self,
        images: Files | Path,
        json_file: File | Path,
        pngs: Files | Path,
        *,
        max_missing: int = 0,
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
            max_missing=max_missing,
        )
        check_names(
            pngs,
            self._index.file_names,
            named_by=f"annotations of {self._index.path}",
            max_missing=max_missing,
        )

    @classmethod
    def from_root(
        cls, root: Path | str, split: str, *, max_missing: int = 0
    ) -> "CocoPanoptic":
        """Finds a split in a folder, unpacked or as downloaded.

        Images are in `images/<split>/` or `<split>/`; `panoptic_<split>.json` and
        the folder `panoptic_<split>/` are in the root or in `annotations/`. Each
        folder may be a zip file of the same name, and the annotations may lie in
        `panoptic_annotations_*.zip`. The official splits are `train2017` and
        `val2017`.

        Args:
          root: the folder.
          split: its name.
          max_missing: as of the constructor.
        Raises:
          FileNotFoundError: root, split or one of the three is missing.
          ValueError: root or split is empty, or as the constructor.
        """
        return cls(*find_files(root, split), max_missing=max_missing)

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
    root = check_root(root, split, layout=_LAYOUT)
    json_file, pngs = _find_labels(root, split)
    images = folder_or_zip(root / "images", split) or folder_or_zip(root, split)
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
            pngs = folder_or_zip(root, name) or folder_or_zip(place, name)
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
    files = [*root.glob("panoptic_*.json"), *root.glob("annotations/panoptic_*.json")]
    raise no_split(
        root,
        f"{name}.json here or in annotations/",
        found={file.stem.removeprefix("panoptic_") for file in files},
        layout=_LAYOUT,
    )
