"""Results of videos as Cityscapes-VPS's evaluation reads them: one flat list of frames.

tools/eval_vpq.py of mcahny/vps and its server take `pred.json`, whose `annotations` are
in the order of the truth's, which is that of the names, and `pan_pred/<frame>.png`.
"""

import json
from collections.abc import Collection
from pathlib import Path

from pix2seq_d.atomic_file import link, replace_text
from pix2seq_d.json_lines import read_entries, read_header
from pix2seq_d.video_results_json import find_logs

JSON_NAME = "pred.json"
PNGS = "pan_pred"


def write_flat(directory: Path, *, videos: Collection[str]) -> None:
    """Adds the flat JSON and its PNGs to a directory of `VideoResults`.

    The PNGs are links to those of `panoptic/`, or copies where the file system has
    none.

    Args:
      directory: of the results; its logs are read.
      videos: names of those to take; the frames of all have names of their own.
    """
    (directory / PNGS).mkdir(exist_ok=True)
    annotations = {}
    for log in find_logs(directory):
        video = str(read_header(log).get("video"))
        if video not in videos:
            continue
        for frame in read_entries(log):
            png = f"{frame['name']}.png"
            link(directory / "panoptic" / video / png, directory / PNGS / png)
            annotations[frame["name"]] = {
                "image_id": frame["name"],
                "file_name": png,
                "segments_info": frame["segments_info"],
            }
    content = {"annotations": [annotations[name] for name in sorted(annotations)]}
    replace_text(directory / JSON_NAME, json.dumps(content))
