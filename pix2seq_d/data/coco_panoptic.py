"""COCO panoptic datasets: the official layout and any folder in the same format."""

from pathlib import Path

from pix2seq_d.data.source import Example
from pix2seq_d.image_files import open_image, read_rgb
from pix2seq_d.panoptic_files import check_files, read_map
from pix2seq_d.panoptic_index import read_index

_EXIF_ORIENTATION = 0x0112


class CocoPanoptic:
    """Images with COCO panoptic labels, in the order of their image ids.

    The constructor reads the JSON and lists the folders, so that broken references
    show at once; pixels are decoded, and checked, at access. Images without an
    annotation are left out. `segments_info` may describe segments without a pixel
    (tiny ones vanish when maps are scaled); an id in a PNG that `segments_info`
    does not describe is an error. Source: spec 5.5; the reference has no loader.

    Args:
      images_dir: folder of the images.
      json_path: the panoptic JSON; `label_space` is its `categories`, in its order.
      png_dir: folder of the id PNGs.
    Raises:
      FileNotFoundError: the JSON, a folder, an image or a PNG is missing.
      ValueError: the JSON is no consistent COCO panoptic JSON.
    """

    def __init__(
        self, images_dir: Path | str, json_path: Path | str, png_dir: Path | str
    ) -> None:
        self._images_dir, self._png_dir = Path(images_dir), Path(png_dir)
        self._index = read_index(json_path)
        self.label_space = self._index.label_space()
        self._index.check_categories(self.label_space.semantic_of)
        # JSON ids are numbers or text; numbers come first.
        self._image_ids = sorted(
            self._index.rows, key=lambda i: (isinstance(i, str), i)
        )
        check_files(
            self._images_dir,
            [self._index.images[i] for i in self._image_ids],
            named_by=f"images of {self._index.path}",
        )
        check_files(
            self._png_dir,
            self._index.file_names,
            named_by=f"annotations of {self._index.path}",
        )

    @classmethod
    def from_root(cls, root: Path | str, split: str) -> "CocoPanoptic":
        """Finds a split in a folder.

        Images are in `images/<split>/` or `<split>/`; `panoptic_<split>.json` and
        the folder `panoptic_<split>/` are in the root or in `annotations/`. The
        official download has splits `train2017` and `val2017`.

        Raises:
          FileNotFoundError: root, split or one of the three is missing.
          ValueError: root or split is empty, or as the constructor.
        """
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
        name = f"panoptic_{split}"
        places = (root, root / "annotations")
        json_path = next(
            (p / f"{name}.json" for p in places if (p / f"{name}.json").is_file()), None
        )
        if json_path is None:
            raise FileNotFoundError(_no_split(root, split))
        png_dir = next((p / name for p in places if (p / name).is_dir()), None)
        if png_dir is None:
            zipped = any((p / f"{name}.zip").is_file() for p in places)
            cure = f"unzip {name}.zip" if zipped else "put the id PNGs there"
            raise FileNotFoundError(
                f"{root}: no folder {name}/ beside {name}.json; {cure}"
            )
        folders = (root / "images" / split, root / split)
        images_dir = next((p for p in folders if p.is_dir()), None)
        if images_dir is None:
            raise FileNotFoundError(
                f"{root}: no folder images/{split}/ or {split}/; put the images of "
                f"{json_path.name} there"
            )
        return cls(images_dir, json_path, png_dir)

    def __len__(self) -> int:
        return len(self._image_ids)

    def __getitem__(self, index: int) -> Example:
        """Decodes example `index`.

        Raises:
          IndexError: past the end.
          ValueError: the image or the PNG is damaged, the PNG is not RGB, holds an
            id that `segments_info` lacks, or differs from the image in size.
        """
        image_id = self._image_ids[index]
        file_name = self._index.images[image_id]
        path = self._images_dir / file_name
        image = read_rgb(path)
        panoptic = read_map(self._index, self._png_dir, image_id)
        if panoptic.ids.shape != image.shape[:2]:
            raise ValueError(
                _size_message(
                    path,
                    image.shape[:2],
                    self._png_dir / self._index.png_name(image_id),
                    panoptic.ids.shape,
                )
            )
        return Example(image_id, file_name, image, panoptic)


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


def _size_message(
    image: Path, image_size: tuple[int, ...], png: Path, png_size: tuple[int, ...]
) -> str:
    message = (
        f"{png}: has {png_size[1]}x{png_size[0]} pixels, its image {image} "
        f"{image_size[1]}x{image_size[0]} (width x height); "
    )
    orientation = open_image(image).getexif().get(_EXIF_ORIENTATION, 1)
    if orientation > 4 and png_size == image_size[::-1]:
        return message + (
            "the image is turned by its EXIF orientation only: save it turned, "
            "without EXIF"
        )
    return message + "scale one of them (labels: nearest neighbour)"
