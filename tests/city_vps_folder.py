"""A tiny Cityscapes-VPS folder, as the scripts of mcahny/vps leave it."""

import json

import numpy as np
from label_files import save_png

from pix2seq_d.panoptic import ids_to_rgb

ROAD, SKY, PERSON, CAR = 0, 10, 11, 13  # train ids
CATEGORIES = [
    {"id": ROAD, "name": "road", "isthing": 0, "color": [128, 64, 128], "trainid": 0},
    {"id": SKY, "name": "sky", "isthing": 0, "color": [70, 130, 180], "trainid": 10},
    {"id": PERSON, "name": "person", "isthing": 1, "color": [220, 20, 60]},
    {"id": CAR, "name": "car", "isthing": 1, "color": [0, 0, 142]},
]
# Ids are colours: a stuff class has one, things have some near their class'.
ROAD_ID, SKY_ID = (
    r + 256 * g + 65536 * b for r, g, b in ((128, 64, 128), (70, 130, 180))
)
PERSON_ID, CAR_ID, OTHER_CAR_ID = 3937500, 9306112, 9306380
KIND = {ROAD_ID: ROAD, SKY_ID: SKY, PERSON_ID: PERSON, CAR_ID: CAR, OTHER_CAR_ID: CAR}
SIZE = (16, 32)

# Of each five videos' one is val, and six of its thirty frames have labels.
IMAGE_IDS = {
    "0005": [
        f"0005_{25 + k:04d}_frankfurt_000000_{1736 + 5 * k:06d}" for k in range(6)
    ],
    "0010": [f"0010_{55 + k:04d}_munster_000002_{4 + 5 * k:06d}" for k in range(6)],
}


def id_map(video, k):
    """Frame k: two cars drive apart, a person goes away after the third frame."""
    ids = np.full(SIZE, ROAD_ID, np.int32)
    ids[:6] = SKY_ID
    ids[8:13, 10 + k : 17 + k] = CAR_ID
    if video == "0005":
        ids[7:13, 6 - k : 9 - k] = OTHER_CAR_ID
    if k < 3:
        ids[4:14, 26:29] = PERSON_ID
    ids[:, 30:] = 0
    return ids


def draw(ids):
    """An image that shows which is which: red is the class, green the id."""
    image = np.zeros((*SIZE, 3), np.uint8)
    for number, (segment, category) in enumerate(KIND.items()):
        kind = [c["id"] for c in CATEGORIES].index(category)
        image[ids == segment] = 40 * (kind + 1), 40 * number, 0
    return image


class CityVps:
    """Tests break one thing at a time, and call `save_json`."""

    def __init__(self, root, split="val"):
        self.root, self.split = root, split
        images, annotations = [], []
        for video, image_ids in IMAGE_IDS.items():
            for k, image_id in enumerate(image_ids):
                # Cityscapes' own labels are those of the fourth.
                image, png = self.names(image_id, is_own=k == 3)
                ids = id_map(video, k)
                save_png(root / split / "img" / image, draw(ids))
                self.save_ids(png, ids)
                images.append({"id": image_id, "width": 32, "height": 16})
                images[-1]["file_name"] = image
                annotations.append(
                    {
                        "image_id": image_id,
                        "file_name": png,
                        "segments_info": segments(ids),
                    }
                )
        self.content = {
            "images": images,
            "annotations": annotations,
            "categories": CATEGORIES,
        }
        self.save_json()

    @staticmethod
    def names(image_id, *, is_own):
        """Names of a frame's image and label map."""
        image, png = ("newImg8bit", "final_mask")
        if is_own:
            image, png = ("leftImg8bit", "gtFine_color")
        return f"{image_id}_{image}.png", f"{image_id}_{png}.png"

    @property
    def json_path(self):
        return self.root / f"panoptic_gt_{self.split}_city_vps.json"

    @property
    def pngs(self):
        return self.root / self.split / "panoptic_video"

    def annotation(self, video, k):
        image_id = IMAGE_IDS[video][k]
        return next(a for a in self.content["annotations"] if a["image_id"] == image_id)

    def save_ids(self, png, ids):
        save_png(self.pngs / png, ids_to_rgb(ids))

    def save_json(self):
        self.json_path.write_text(json.dumps(self.content))


def segments(ids):
    """`segments_info` of a map, as the official converter writes it."""
    values, areas = np.unique(ids[ids > 0], return_counts=True)
    return [
        {"id": i, "category_id": KIND[i], "iscrowd": 0, "area": area}
        for i, area in zip(values.tolist(), areas.tolist(), strict=True)
    ]
