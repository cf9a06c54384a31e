"""TensorFlow Datasets with panoptic or video masks, read without TensorFlow."""

import functools
from collections.abc import Sequence
from typing import Any

from pix2seq_d.data import label_spaces
from pix2seq_d.data.davis import decode_objects, spare_id
from pix2seq_d.data.frames import video_ranges
from pix2seq_d.data.source import EncodedExample
from pix2seq_d.image_files import File
from pix2seq_d.panoptic import Segment
from pix2seq_d.panoptic_files import decode_map

_COCO = "coco_panoptic"
_BUILD = "tfds build --file_format=array_record"
KEPT_BYTES = 1 << 30  # of encoded videos, in memory


def open_tfds(
    name: str, split: str, data_dir: str | None = None, *, has_void: bool = False
) -> "TfdsPanoptic | TfdsVideo":
    """Opens a split of a prepared dataset that has the features of one of these.

    * `coco/2017_panoptic`: a `TfdsPanoptic`.
    * `davis/480p`, `davis/full_resolution`: a `TfdsVideo`.

    Its files must be ArrayRecords, which have random access: prepare it with
    `tfds build --file_format=array_record NAME`, which does need TensorFlow.

    Args:
      name: of the dataset, with its config; code is not needed if its files lie in
        `data_dir`.
      split: as TFDS understands it, such as 'train' or 'validation[:10%]'.
      data_dir: where TFDS keeps its datasets; None means `~/tensorflow_datasets`.
      has_void: of a `TfdsVideo`.
    Raises:
      FileNotFoundError: no such dataset, or it is not prepared.
      ValueError: no such split, no random access, or other features.
    """
    # Slow; and some installations leave it out.
    import tensorflow_datasets as tfds

    class Encoded(tfds.decode.SkipDecoding):
        """Leaves an image's bytes as they are, also in a sequence of images."""

        def decode_batch_example_np(self, serialized_example: Any) -> Any:
            return serialized_example

    builder = _open_builder(name, data_dir)
    features = dict(builder.info.features)
    if _has(features, "image", "image/filename", "image/id", "panoptic_image") and _has(
        features.get("panoptic_objects"), "id", "label", "is_crowd"
    ):
        make = TfdsPanoptic
        _check_classes(features["panoptic_objects"]["label"].names, name)
        decoders = {"image": Encoded(), "panoptic_image": Encoded()}
    elif _has(features.get("video"), "frames", "segmentations") and _has(
        features.get("metadata"), "video_name"
    ):
        make = functools.partial(TfdsVideo, has_void=has_void)
        decoders = {"video": {"frames": Encoded(), "segmentations": Encoded()}}
    else:
        raise ValueError(
            f"{name}: its features are {', '.join(sorted(features))}; take a dataset "
            "with those of coco/2017_panoptic (image, panoptic_image, "
            "panoptic_objects) or of davis (video, metadata)"
        )
    try:
        records = builder.as_data_source(split, decoders=decoders)
    except NotImplementedError as error:
        raise ValueError(
            f"{name}: the files in {builder.data_dir} have no random access; prepare "
            f"it again in another data_dir, with {_BUILD}"
        ) from error
    except ValueError as error:
        raise ValueError(
            f"{name}: {_first_line(error)} (split {split!r}; there are "
            f"{', '.join(builder.info.splits)})"
        ) from error
    return make(records, f"{name} {split}")


def find_splits(name: str, data_dir: str | None = None) -> list[str]:
    """Names of the splits of a prepared dataset; arguments as of `open_tfds`.

    Raises:
      FileNotFoundError: no such dataset, or it is not prepared.
    """
    return list(_open_builder(name, data_dir).info.splits)


class TfdsPanoptic:
    """Images of `coco/2017_panoptic`; implements `Source`.

    In the order of the records, which TFDS shuffled once when it wrote them. The
    label space is COCO's official one; its 133 categories are the 133 labels, in
    the same order. Source: spec 5.5.

    Args:
      records: with encoded images.
      where: what to call them in messages.
    """

    def __init__(self, records: Sequence[Any], where: str) -> None:
        self.label_space = label_spaces.read(_COCO)
        self._records, self._where = records, where

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> EncodedExample:
        """Reads record `index`; errors at decoding name it.

        Raises:
          IndexError: past the end.
        """
        record = self._records[range(len(self))[index]]
        file_name = record["image/filename"].decode()
        where = f"{self._where}: {file_name}"
        objects = record["panoptic_objects"]
        segments = tuple(
            Segment(int(i), self.label_space.categories[int(label)].id, bool(crowd))
            for i, label, crowd in zip(
                objects["id"], objects["label"], objects["is_crowd"], strict=True
            )
        )
        return EncodedExample(
            int(record["image/id"]),
            file_name,
            image_file=File(where, record["image"]),
            label_file=File(f"{where}: panoptic_image", record["panoptic_image"]),
            decode_labels=functools.partial(
                decode_map, segments=segments, described_in="its panoptic_objects"
            ),
        )


class TfdsVideo:
    """Frames of `davis`, sorted by video and frame; implements `VideoSource`.

    A record is a whole video, so the constructor reads all of them to count the
    frames; no pixel is decoded. Encoded videos stay in memory up to 1 GiB (the 60
    for training of `davis/480p` are some 300 MB); of the others the last few.
    Segments are as those of `Davis`.

    Args:
      records: with encoded images.
      where: what to call them in messages.
      has_void: as of `Davis`.
    """

    def __init__(
        self, records: Sequence[Any], where: str, *, has_void: bool = False
    ) -> None:
        self.label_space = label_spaces.read("davis")
        self._where, self._has_void = where, has_void
        self._kept: dict[int, Any] = {}
        rows, kept_bytes = [], 0
        for row in range(len(records)):
            record = records[row]
            name, video = record["metadata"]["video_name"].decode(), record["video"]
            rows.append((name, row, len(video["frames"])))
            encoded = (*video["frames"], *video["segmentations"])
            size = sum(len(data) for data in encoded)
            if kept_bytes + size <= KEPT_BYTES:
                self._kept[row] = video
                kept_bytes += size
        self._frames = [
            (name, row, k) for name, row, count in sorted(rows) for k in range(count)
        ]
        self.videos = video_ranges([name for name, _, _ in self._frames])
        self._read = functools.lru_cache(maxsize=8)(records.__getitem__)

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, index: int) -> EncodedExample:
        """Reads frame `index`; errors at decoding name it.

        Raises:
          IndexError: past the end.
        """
        name, row, k = self._frames[index]
        video = self._kept[row] if row in self._kept else self._read(row)["video"]
        labels = tuple(
            File(f"{self._where}: {name}/{i:05d} segmentations", data)
            for i, data in enumerate(video["segmentations"])
        )
        spare = None if self._has_void else functools.partial(spare_id, labels)
        return EncodedExample(
            f"{name}/{k:05d}",
            f"{name}/{k:05d}.jpg",
            image_file=File(f"{self._where}: {name}/{k:05d}", video["frames"][k]),
            label_file=labels[k],
            decode_labels=functools.partial(decode_objects, find_spare=spare),
        )


def _open_builder(name: str, data_dir: str | None) -> Any:
    import tensorflow_datasets as tfds

    where = f" in {data_dir}" if data_dir else ""
    try:
        builder = tfds.builder(name, data_dir=data_dir)
    except tfds.core.DatasetNotFoundError as error:
        raise FileNotFoundError(
            f"{name}: TFDS knows no dataset of this name, nor are its files{where}; "
            "correct the name or data_dir"
        ) from error
    except ValueError as error:
        raise ValueError(
            f"{name}: {_first_line(error)} (give it as coco/2017_panoptic)"
        ) from error
    if not builder.info.splits:
        raise FileNotFoundError(
            f"{name}: is not prepared{where}; run {_BUILD} {name}, or correct data_dir"
        )
    return builder


def _has(features: Any, *names: str) -> bool:
    return features is not None and all(name in features.keys() for name in names)  # noqa: SIM118


def _check_classes(names: Sequence[str], dataset: str) -> None:
    official = [c.name for c in label_spaces.read(_COCO).categories]
    # A label without names has its numbers for names.
    if list(names) not in (official, [str(k) for k in range(len(official))]):
        raise ValueError(
            f"{dataset}: its {len(names)} classes are not the {len(official)} of COCO "
            "panoptic; export it as COCO panoptic files, which say their classes"
        )


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(" .:")
