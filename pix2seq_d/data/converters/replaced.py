"""What an earlier conversion left of a split that is converted again."""

from collections.abc import Collection, Iterable
from pathlib import Path

from pix2seq_d.panoptic_index import read_index


class ReplacedSplit:
    """The JSON of a split, set aside until another has taken its place.

    It stays as `panoptic_<split>.json.replaced` if that one never comes about, so
    that the next try knows of its files, too.

    Args:
      json_path: the panoptic JSON, which need not exist.
      images: folder of the split's images.
      pngs: folder of its id PNGs.
    """

    def __init__(self, json_path: Path, images: Path, pngs: Path) -> None:
        self._json_path = json_path.with_name(json_path.name + ".replaced")
        self._images, self._pngs = images, pngs
        if json_path.exists():
            json_path.replace(self._json_path)

    def remove(self, images: Collection[str], pngs: Collection[str]) -> None:
        """Removes the files that the JSON names, and the JSON.

        A file that it does not name stays; so does one that it names but that lies
        elsewhere, through a link or `..`.

        Args:
          images: names in the folder of images that stay, in lower case.
          pngs: the same of the PNGs.
        """
        if not self._json_path.exists():
            return
        try:
            index = read_index(self._json_path)
        except ValueError:  # no JSON of a conversion: nothing is known of its files
            self._json_path.unlink()
            return
        self._remove(self._images, index.images.values(), images)
        self._remove(self._pngs, index.file_names, pngs)
        self._json_path.unlink()

    def _remove(
        self, folder: Path, names: Iterable[str], kept: Collection[str]
    ) -> None:
        root = self._json_path.parent
        own = root.resolve() / folder.relative_to(root)
        for name in names:
            path = folder / name
            real = path.parent.resolve() / path.name
            if not path.is_file() or not real.is_relative_to(own):
                continue
            # Lower case: on some file systems A.png and a.png are one file.
            if real.relative_to(own).as_posix().lower() not in kept:
                path.unlink()
