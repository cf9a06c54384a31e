"""Checks of a COCO panoptic split: the JSON, the folders, then each pair of files."""

import os.path
import posixpath
from collections.abc import Collection, Iterator

import numpy as np

from pix2seq_d.doctor import coco_json
from pix2seq_d.doctor.facts import Checked, image_facts
from pix2seq_d.doctor.finding import Finding, from_error
from pix2seq_d.doctor.image_checks import check_image, compare_sizes
from pix2seq_d.doctor.map_checks import check_map, classes_of
from pix2seq_d.files import Files
from pix2seq_d.image_files import File, open_image, orientation, read_rgb
from pix2seq_d.instance_ids import COCO, IdRule
from pix2seq_d.panoptic import PanopticMap, Segment
from pix2seq_d.panoptic_files import png_ids, read_png_ids


class CocoSplit:
    """See `Split`; every problem is noted where `CocoPanoptic` stops at the first.

    Args:
      name: of the split.
      images: the images.
      json_file: the panoptic JSON.
      pngs: the id PNGs.
      max_instances: of the model, 0 included.
      rule: which segments have instance ids.
    """

    def __init__(
        self,
        name: str,
        images: Files,
        json_file: File,
        pngs: Files,
        *,
        max_instances: int,
        rule: IdRule = COCO,
    ) -> None:
        self.name, self.where = name, json_file.where
        self._images, self._pngs = images, pngs
        self._max_instances, self._rule = max_instances, rule
        content = coco_json.read(json_file)
        self.label_space = content.label_space
        self._items = content.items
        self._classes = classes_of(self.label_space)
        image_files = _Listing(images)
        png_files = _Listing(pngs)
        self._missing: set[str] = set()
        self.findings = list(content.findings)
        for item in self._items:
            for kind, listing, file_name in (
                ("missing_image", image_files, item.image_name),
                ("missing_png", png_files, item.png_name),
            ):
                if not listing.holds(file_name):
                    where = listing.files.where(file_name)
                    self._missing.add(where)
                    cure = listing.hint(file_name)
                    missing = Finding(kind, where, "no such file", cure, item.image_id)
                    self.findings.append(missing)
        for listing, names in (
            (image_files, content.image_names),
            (png_files, content.png_names),
        ):
            self.findings += listing.unnamed(names, by=self.where)

    def __len__(self) -> int:
        return len(self._items)

    def check(self, index: int) -> Checked:
        """See `Split`."""
        item = self._items[index]
        where = self._images.where(item.image_name)
        found, image_file, image = self._image(item)
        more, ids = self._ids(item)
        found += more
        label_where = self._pngs.where(item.png_name)
        shown = image if image is not None else ids
        if item.size and shown is not None and item.size != shown.shape[:2]:
            at = where if image is not None else label_where
            found.append(_json_size(item, shown.shape, at, image_file))
        if image is not None and ids is not None:
            found += compare_sizes(
                image_file,
                image.shape,
                ids.shape,
                where=label_where,
                image_id=item.image_id,
            )
        facts = None
        if ids is not None:
            more, facts = check_map(
                ids,
                item.segments,
                self._classes,
                where=label_where,
                image_id=item.image_id,
                max_instances=self._max_instances,
                rule=self._rule,
            )
            found += more
        return Checked(
            where=where,
            name=item.image_name,
            image_id=item.image_id,
            findings=tuple(found),
            image=(
                image_facts(image, image_file.data)
                if image is not None and image_file
                else None
            ),
            map=facts,
        )

    def picture(self, index: int) -> tuple[np.ndarray, PanopticMap]:
        """See `Split`."""
        item = self._items[index]
        segments = tuple(
            Segment(s.id, s.category_id, s.is_crowd)
            for s in item.segments
            if s.category_id is not None
        )
        ids = read_png_ids(self._pngs.read(item.png_name))
        return read_rgb(self._images.read(item.image_name)), PanopticMap(ids, segments)

    def _image(
        self, item: coco_json.Item
    ) -> tuple[list[Finding], File | None, np.ndarray | None]:
        where = self._images.where(item.image_name)
        if where in self._missing:
            return [], None, None
        try:
            file = self._images.read(item.image_name)
        except (ValueError, OSError) as error:
            found = from_error(error, "unreadable_image", where, item.image_id)
            return [found], None, None
        findings, image = check_image(file, item.image_id)
        return findings, file, image

    def _ids(self, item: coco_json.Item) -> tuple[list[Finding], np.ndarray | None]:
        where = self._pngs.where(item.png_name)
        if where in self._missing:
            return [], None
        kind = "unreadable_labels"
        try:
            file = self._pngs.read(item.png_name)
            image = open_image(file)
            kind = "png_format"
            return [], png_ids(image, file)
        except (ValueError, OSError) as error:
            return [from_error(error, kind, where, item.image_id)], None


class _Listing:
    """Which files there are; every folder is listed once, no file is touched."""

    def __init__(self, files: Files) -> None:
        self.files = files
        self._names = {folder: set(files.names(folder)) for folder in _walk(files)}
        self._stems: dict[str, str] | None = None

    def holds(self, name: str) -> bool:
        folder, _, base = name.rpartition("/")
        if folder not in self._names:
            self._names[folder] = set(self.files.names(folder))
        return base in self._names[folder]

    def hint(self, name: str) -> str:
        """How to mend a missing file: perhaps it only has another suffix."""
        if self._stems is None:
            self._stems = {_stem(n): n for n in self._all()}
        near = self._stems.get(_stem(name))
        if near is not None:
            return f"there is {near}: correct file_name"
        return "add the file or remove its entries"

    def unnamed(self, names: Collection[str], *, by: str) -> Iterator[Finding]:
        known = {posixpath.normpath(name) for name in names}
        for name in self._all():
            if posixpath.normpath(name) not in known:
                message = f"is not named by {by}"
                cure = "annotate it, or leave it: it is not used"
                yield Finding("unnamed_file", self.files.where(name), message, cure)

    def _all(self) -> Iterator[str]:
        for folder, names in self._names.items():
            for name in sorted(names):
                yield f"{folder}/{name}" if folder else name


def _walk(files: Files, folder: str = "") -> Iterator[str]:
    yield folder
    for name in files.folders(folder):
        yield from _walk(files, f"{folder}/{name}" if folder else name)


def _stem(name: str) -> str:
    return os.path.splitext(posixpath.basename(name))[0].lower()


def _json_size(
    item: coco_json.Item, shape: tuple[int, ...], where: str, image_file: File | None
) -> Finding:
    assert item.size
    (height, width), (rows, columns) = item.size, shape[:2]
    message = (
        f"has {columns}x{rows} pixels (width x height), the JSON says {width}x{height}"
    )
    cure = "correct the JSON; training does not use it"
    turned = image_file is not None and orientation(open_image(image_file)) > 4
    if turned and item.size == (columns, rows):
        cure = "its EXIF orientation turns it: save it turned, without EXIF"
    return Finding("json_size", where, message, cure, item.image_id)
