"""The report's page and text: parse, hold every finding, load nothing."""

import numpy as np
import pytest
from html_text import Page

from pix2seq_d.doctor import page, pictures, report
from pix2seq_d.doctor.charts import bar, columns
from pix2seq_d.doctor.examine import examine
from pix2seq_d.doctor.finding import Finding, from_error


@pytest.fixture
def examination(two_splits):
    """Two splits with several findings, one of them in characters of HTML."""
    root = two_splits.root
    (root / "images/val/<b>&.png").write_bytes(b"x")
    (root / "images/val/20.png").write_bytes(b"")
    for k in range(7):
        (root / f"images/val/old{k}.png").write_bytes(b"x")
    two_splits.content["annotations"][0]["segments_info"][1]["area"] = 1
    two_splits.save_json()
    return examine(root, num_workers=1)


def test_the_page_holds_every_finding_and_loads_nothing(examination):
    drawn = pictures.draw(examination)
    text = page.html(examination, drawn)
    parsed = Page(text)
    assert len(examination.findings) == 10
    words = " ".join(parsed.text.split())
    for finding in examination.findings:
        for part in (finding.message, finding.cure, finding.where):
            assert part in words
    assert "<b>&.png" in words
    assert len(parsed.links) == len(drawn) == 3 + 2
    assert all(link.startswith("data:image/jpeg;base64,") for link in parsed.links)
    assert "script" not in parsed.tags and "link" not in parsed.tags
    for word in ("http", "//", "url(", "@import"):
        assert word not in text.replace(str(examination.root), "").split("<img")[0]
    assert "prefers-color-scheme: dark" in text
    assert 'name="viewport"' in text
    for name in ("sky", "door", "train", "val", report.verdict(examination)):
        assert name in words


def test_the_text_shows_five_of_each_kind(examination):
    text = report.text(examination)
    assert text.splitlines()[0].endswith(": 1 problem in 1 file")
    assert text.count("is not named by") == 5
    assert "and 3 more" in text
    assert "note: files that no entry names: 8  [unnamed_file]" in text


def test_the_json_counts(examination):
    content = report.to_json(examination)
    assert content["fine"] is False
    assert content["counts"] == {"error": 1, "warning": 1, "note": 8}
    assert len(content["findings"]) == 10
    first = content["findings"][0]
    assert first["kind"] == "unreadable_image" and first["image_id"] == 20
    doors = content["splits"]["train"]["classes"][1]
    assert (doors["name"], doors["segments"], doors["pixels"]) == ("door", 6, 36)


def test_a_set_without_findings(two_splits):
    examination = examine(two_splits.root, num_workers=1, limit=2)
    parsed = Page(page.html(examination, pictures.draw(examination)))
    assert "None." in parsed.text
    assert report.verdict(examination) == (
        "no problem in the part that was looked at: 2 of 3 + 2 of 3 images, "
        "12 segments, 2 classes (1 thing, 1 stuff); no remarks"
    )


def test_a_set_that_cannot_be_opened(coco_folder):
    coco_folder.json_path.write_text("{")
    examination = examine(coco_folder.root, num_workers=1)
    assert pictures.draw(examination) == []
    Page(page.html(examination, []))
    assert "1 problem in 1 file" in report.text(examination)


def test_the_sheet_shows_each_split(two_splits):
    drawn = pictures.draw(examine(two_splits.root, num_workers=1))
    assert [p.split for p in drawn] == ["train"] * 3 + ["val"] * 3
    sheet = pictures.contact_sheet(drawn)
    assert sheet.dtype == np.uint8 and sheet.shape[2] == 3
    assert sheet.shape[1] > 2 * drawn[0].pixels.shape[1]


def test_charts():
    drawn = columns({0: 3, 5: 1, 118: 40000}, "a")
    assert drawn.count('class="column"') == 12
    assert ">40k<" in drawn and "110 to 119 objects: 40000 images" in drawn
    assert columns({0: 2}, "a").count('class="column"') == 1
    assert "width:100.00%" in bar(1.7, "b")
    Page(drawn + bar(0.5, "a"))


def test_errors_become_findings():
    finding = from_error(ValueError("a/b.png: is bad; mend it"), "split", "a")
    assert finding == Finding("split", "a/b.png", "is bad", "mend it")
    assert finding.line == "a/b.png: is bad; mend it"
    finding = from_error(ValueError("only: this"), "split", "a", 3)
    assert finding.line == "a: image 3: only: this; correct it"
