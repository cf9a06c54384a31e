"""Cityscapes: street scenes of many cities, with the fine panoptic labels."""

from pathlib import Path

from pix2seq_d.data import label_spaces
from pix2seq_d.data.cityscapes_labels import CityLabels, JsonLabels, RawLabels
from pix2seq_d.data.roots import check_root, folder_or_zip, no_split
from pix2seq_d.data.source import EncodedExample
from pix2seq_d.files import Files, check_names
from pix2seq_d.panoptic_index import list_some

_LAYOUT = "Cityscapes"
_IMAGE = "_leftImg8bit.png"
_JSON = "cityscapes_panoptic_"


class Cityscapes:
    """Cityscapes in the order of its image ids; implements `Source`.

    The label space has the 19 evaluation classes with the ids of the public label
    table, whatever ids the files have; all else is void. A region of things
    without instance numbers is a crowd. Source: spec 1.2, 5.5.

    Args:
      images: `<split>/<city>/<image id>_leftImg8bit.png`.
      labels: the label maps of the split.
      split: which.
      max_missing: how many images, and how many label maps, may be missing; their
        examples fail at access.
    Raises:
      FileNotFoundError: more images or label maps are missing.
    """

    def __init__(
        self, images: Files, labels: CityLabels, split: str, *, max_missing: int = 0
    ) -> None:
        self.label_space = label_spaces.read("cityscapes")
        self._images, self._labels = images, labels
        unlabelled = sorted(_list_images(images, split) - labels.names.keys())
        self._image_ids = sorted([*labels.names, *unlabelled])
        self._image_names = {
            i: f"{split}/{i.partition('_')[0]}/{i}{_IMAGE}" for i in self._image_ids
        }
        names = [self._image_names[i] for i in labels.names]
        check_names(images, names, named_by=labels.named_by, max_missing=max_missing)
        if len(unlabelled) > max_missing:
            raise FileNotFoundError(
                f"{labels.named_by}: lacks the labels of {list_some(unlabelled)} "
                f"({len(unlabelled)} of the images in {images.where(split)}); add "
                "them or remove the images"
            )

    @classmethod
    def from_root(
        cls, root: Path | str, split: str, *, max_missing: int = 0
    ) -> "Cityscapes":
        """Finds a split in a folder.

        Images are in `leftImg8bit/<split>/<city>/`. Labels are
        `gtFine/cityscapes_panoptic_<split>.json` with the folder of that name, or
        the same with `_trainId`, as createPanopticImgs.py writes them; else
        `gtFine/<split>/<city>/*_gtFine_instanceIds.png`. Either folder may be the
        zip file as downloaded, `leftImg8bit_trainvaltest.zip` or
        `gtFine_trainvaltest.zip`.

        Args:
          root: the folder.
          split: its name.
          max_missing: as of the constructor.
        Raises:
          FileNotFoundError: root, split or files are missing.
          ValueError: root or split is empty, or the JSON is not as it should be.
        """
        root = check_root(root, split, layout=_LAYOUT)
        images, labels = _find(root, "leftImg8bit"), _find(root, "gtFine")
        for stem in (f"{_JSON}{split}", f"{_JSON}{split}_trainId"):
            if f"{stem}.json" in labels.names():
                json_file = labels.read(f"{stem}.json")
                made = JsonLabels(labels, json_file, stem, max_missing=max_missing)
                return cls(images, made, split, max_missing=max_missing)
        raw = RawLabels(labels, split)
        if not raw.names:
            found = [s for s in labels.folders() if RawLabels(labels, s).names]
            wanted = f"gtFine/{_JSON}{split}.json nor gtFine/{split}/"
            wanted += "<city>/*_gtFine_instanceIds.png"
            raise no_split(root, wanted, found=found, layout=_LAYOUT)
        return cls(images, raw, split, max_missing=max_missing)

    def __len__(self) -> int:
        return len(self._image_ids)

    def __getitem__(self, index: int) -> EncodedExample:
        """Reads example `index`; errors at access and at decoding name the file.

        Raises:
          IndexError: past the end.
        """
        image_id = self._image_ids[index]
        name = self._image_names[image_id]
        if image_id not in self._labels.names:
            raise FileNotFoundError(
                f"{self._images.where(name)}: has no label map in "
                f"{self._labels.named_by}; add it or remove the image"
            )
        return EncodedExample(
            image_id,
            name.partition("/")[2],
            image_file=self._images.read(name),
            label_file=self._labels.files.read(self._labels.names[image_id]),
            decode_labels=self._labels.decoder(image_id),
        )


def _list_images(images: Files, split: str) -> set[str]:
    return {
        name.removesuffix(_IMAGE)
        for city in images.folders(split)
        for name in images.names(f"{split}/{city}")
        if name.endswith(_IMAGE) and not name.startswith(".")
    }


def _find(root: Path, name: str) -> Files:
    packed = f"{name}_trainvaltest.zip"
    found = folder_or_zip(root, name, packed)
    if found is None:
        raise FileNotFoundError(
            f"{root}: no folder {name}/ nor {packed}; put Cityscapes' {name} there"
        )
    return found
