"""One defect in the JSON of a tiny COCO folder: kind, file and image id are named."""

import pytest
from coco_defects import JSON, annotation, assert_named, entry, segments


def not_json(f):
    f.content = None
    return [("json", JSON, None)]


def no_categories(f):
    del f.content["categories"]
    return [("json", JSON, None)]


def instances_json(f):
    for a in f.content["annotations"]:
        del a["segments_info"]
    return [("field", JSON, None), ("no_annotations", JSON, None)]


def one_without_segments_info(f):
    del annotation(f)["segments_info"]
    return [("field", JSON, 20)]


def image_without_file_name(f):
    del entry(f)["file_name"]
    return [("field", JSON, 20)]


def segment_id_too_large(f):
    segments(f)[0]["id"] = 2**24
    return [("field", JSON, 20), ("undescribed_ids", "20.png", 20)]


def no_isthing(f):
    f.content["categories"] = [{"id": 7, "name": "sky"}, f.content["categories"][1]]
    return [("categories", JSON, None)]


def bad_color(f):
    categories = [dict(c) for c in f.content["categories"]]
    categories[0]["color"] = [0, 0, 300]
    f.content["categories"] = categories
    return [("categories", JSON, None)]


def category_twice(f):
    f.content["categories"] = [*f.content["categories"], f.content["categories"][0]]
    return [("categories", JSON, None)]


def category_name_twice(f):
    sky = f.content["categories"][0]
    f.content["categories"] = [*f.content["categories"], {**sky, "id": 9}]
    return [("category_names", JSON, None)]


def no_annotations(f):
    f.content["annotations"] = []
    unnamed = [("unnamed_file", f"{i}.png", None) for i in (10, 20, 30)]
    return [("no_annotations", JSON, None), *unnamed]


def image_id_twice(f):
    f.content["images"].append({"id": 20, "file_name": "20.png"})
    return [("duplicate_image_id", JSON, 20)]


def two_annotations(f):
    f.content["annotations"].append(annotation(f))
    return [("duplicate_annotation", JSON, 20)]


def annotation_without_image(f):
    f.content["images"].remove(entry(f))
    return [
        ("annotation_without_image", JSON, 20),
        ("unnamed_file", "20.png", None),
    ]


def image_without_annotation(f):
    f.content["annotations"].remove(annotation(f))
    return [
        ("image_without_annotation", JSON, 20),
        ("unnamed_file", "20.png", None),
    ]


def segment_twice(f):
    segments(f).append(segments(f)[0])
    return [("duplicate_segment_id", JSON, 20)]


def unknown_category(f):
    segments(f)[1]["category_id"] = 99
    return [("unknown_category", JSON, 20)]


def shared_png(f):
    annotation(f)["file_name"] = "10.png"
    return [("shared_file", JSON, 20), ("unnamed_file", "20.png", None)]


DEFECTS = (
    not_json, no_categories, instances_json, one_without_segments_info,
    image_without_file_name, segment_id_too_large, no_isthing, bad_color,
    category_twice, category_name_twice, no_annotations, image_id_twice,
    two_annotations, annotation_without_image, image_without_annotation, segment_twice,
    unknown_category, shared_png,
)  # fmt: skip


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda d: d.__name__)
def test_a_defect_is_named(coco_folder, found, defect):
    assert_named(coco_folder, found, defect)
