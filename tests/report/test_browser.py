"""The pages in a real browser: layers, hovering, clips, phones, dark mode, print."""

import os
import shutil

import numpy as np
import pytest
from made_pages import DOOR, NAMES, SIZE, SKY, TREE, image_page, video_page

sync_api = pytest.importorskip(
    "playwright.sync_api", reason="no playwright: pip install -e '.[dev]'"
)

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
    None,
)
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium on this machine: apt-get install chromium"
)

# Middles of what `made_pages.maps` holds, pixels.
FOUND_DOOR, TREE_AS_DOOR, MISSED_DOOR, VOID = (
    (150, 120),
    (150, 360),
    (490, 120),
    (520, 400),
)


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    for name, text in (("images", image_page(2)), ("videos", video_page())):
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in ("images", "videos")}


@pytest.fixture(scope="module")
def browser():
    # Chromium has no sandbox for root, whom containers often run as.
    args = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=args)
        yield browser
        browser.close()


@pytest.fixture
def show(browser, paths):
    """Opens a page; after the test there may be no message and no request."""
    pages, faults = [], []

    def show(name, *, width=1280, height=900, **options):
        page = browser.new_page(viewport={"width": width, "height": height}, **options)
        pages.append(page)
        page.on("console", lambda message: faults.append(message.text))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("dialog", lambda dialog: faults.append(dialog.message))
        page.on("request", lambda request: requested(request.url))
        page.goto(paths[name].as_uri())
        page.wait_for_selector("html[data-ready]", timeout=60_000)
        return page

    def requested(url):
        if url not in [path.as_uri() for path in paths.values()]:
            faults.extend([] if url.startswith("data:") else [url])

    yield show
    for page in pages:
        page.close()
    assert faults == []


def canvas_at(page, x, y, *, viewer=0):
    """RGBA of the layer at a pixel of the picture, before the opacity."""
    return tuple(
        page.evaluate(
            """([viewer, x, y]) => {
              const canvas = document.querySelectorAll(".stage > canvas")[viewer];
              // Of a copy: Chromium warns of reading from what is drawn on.
              const copy = new OffscreenCanvas(1, 1).getContext("2d");
              copy.drawImage(
                canvas, -Math.floor(x * canvas.width), -Math.floor(y * canvas.height));
              return [...copy.getImageData(0, 0, 1, 1).data];
            }""",
            [viewer, x / SIZE[1], y / SIZE[0]],
        )
    )


def picture_of(page, viewer=0):
    """What is seen of a picture, as PNG bytes."""
    return page.locator(".stage").nth(viewer).screenshot()


def point(page, x, y):
    """Points at a pixel of the first picture; truth, prediction, the pixel itself."""
    stage = page.locator(".stage").first
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    page.mouse.move(
        box["x"] + x * box["width"] / SIZE[1], box["y"] + y * box["height"] / SIZE[0]
    )
    return told(page)


def told(page):
    return page.locator("#tip div > span:last-child").all_inner_texts()


def test_layers_by_click_and_by_key(show):
    page = show("images")
    assert page.locator("input[name=layer]:checked").get_attribute("value") == (
        "prediction"
    )
    seen = {}
    for key, layer in enumerate(("image", "truth", "prediction", "errors"), start=1):
        page.keyboard.press(str(key))
        by_key = picture_of(page)
        page.get_by_text("Image", exact=False).first.click()
        page.locator(f"label:has(input[value={layer}])").click()
        assert picture_of(page) == by_key
        seen[layer] = by_key, picture_of(page, viewer=1)
    assert len({first for first, _ in seen.values()}) == 4
    assert len({second for _, second in seen.values()}) == 4


def test_each_layer_has_its_colours(show):
    page = show("images")
    page.keyboard.press("1")
    assert canvas_at(page, *FOUND_DOOR) == (0, 0, 0, 0)
    page.keyboard.press("2")
    assert canvas_at(page, *TREE_AS_DOOR) == (20, 120, 60, 255)
    door = canvas_at(page, *FOUND_DOOR)
    assert canvas_at(page, *MISSED_DOOR) not in (door, (90, 160, 230, 255))
    page.keyboard.press("3")
    assert canvas_at(page, *FOUND_DOOR) == door  # a match has its truth's colour
    assert canvas_at(page, *MISSED_DOOR) == (90, 160, 230, 255)
    page.keyboard.press("4")
    assert canvas_at(page, *FOUND_DOOR) == (0, 0, 0, 0)  # correct: the photo alone
    # Two colours each: what tells kinds apart without colour.
    for place, colors in (
        (TREE_AS_DOOR, {(204, 121, 167, 255), (51, 30, 41, 255)}),
        (MISSED_DOOR, {(213, 94, 0, 255), (53, 23, 0, 255)}),
    ):
        x, y = place
        assert {canvas_at(page, x + k, y) for k in range(20)} == colors


def test_opacity(show):
    page = show("images")
    page.keyboard.press("2")
    seen = []
    for value in ("0", "50", "100"):
        page.locator("#opacity").fill(value)
        seen.append(picture_of(page))
    assert len(set(seen)) == 3


def test_hovering_names_what_is_there(show):
    page = show("images")
    door, sky, tree = NAMES[DOOR], NAMES[SKY], NAMES[TREE]
    assert page.locator("#tip").is_hidden()
    match = f"{door} 1 true positive, IoU 86 %"
    assert point(page, *FOUND_DOOR) == [match, match, "correct"]
    assert point(page, *TREE_AS_DOOR) == [
        f"{tree} 1 false negative: wrong class",
        f"{door} 2 false positive: wrong class",
        "wrong class",
    ]
    truth, prediction, pixel = point(page, *MISSED_DOOR)
    assert truth == f"{door} 2 false negative: missed"
    assert prediction.startswith(f"{sky} true positive") and pixel == "missed"
    assert point(page, *VOID)[::2] == ["void", "ignored"]
    page.mouse.move(2, 2)
    assert page.locator("#tip").is_hidden()


def test_the_keyboard_points_too(show):
    page = show("images")
    page.locator(".stage").first.focus()
    page.keyboard.press("ArrowLeft")  # to the middle
    tip = page.locator("#tip")
    assert NAMES[SKY] in tip.inner_text()
    for _ in range(12):
        page.keyboard.press("ArrowUp")  # 24 of 100 of the height
        page.keyboard.press("ArrowLeft")
    assert f"{NAMES[DOOR]} 1" in tip.inner_text()
    page.keyboard.press("Escape")
    assert tip.is_hidden()


def test_a_picture_is_enlarged_and_reduced(show):
    page = show("images")
    stage, button = page.locator(".stage").first, page.locator(".enlarge").first
    before = stage.bounding_box()["width"]
    button.click()
    assert stage.bounding_box()["width"] > 2 * before
    assert button.get_attribute("aria-pressed") == "true"
    button.click()
    assert stage.bounding_box()["width"] == before


def test_a_finger_points_on_a_phone(show):
    page = show("images", width=360, height=740, has_touch=True, is_mobile=True)
    stage = page.locator(".stage").first
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    x, y = (v / n for v, n in zip(FOUND_DOOR, reversed(SIZE), strict=True))
    stage.tap(position={"x": x * box["width"], "y": y * box["height"]})
    tip = page.locator("#tip")
    assert f"{NAMES[DOOR]} 1" in tip.inner_text()
    around = tip.bounding_box()
    assert around["x"] >= 0 and around["x"] + around["width"] <= 360


@pytest.mark.parametrize("name", ["images", "videos"])
def test_a_phone_scrolls_in_one_direction_only(show, name):
    page = show(name, width=360, height=740)
    page.evaluate(
        "document.querySelectorAll('details').forEach((d) => { d.open = true; })"
    )
    assert page.evaluate("document.documentElement.scrollWidth") == 360


@pytest.mark.parametrize("name", ["images", "videos"])
def test_dark_mode(show, name):
    brightness = {}
    for scheme in ("light", "dark"):
        page = show(name, color_scheme=scheme)
        colors = page.evaluate(
            """["backgroundColor", "color"].map(
              (k) => getComputedStyle(document.body)[k].match(/\\d+/g).map(Number))"""
        )
        brightness[scheme] = [float(np.mean(color)) for color in colors]
    paper, ink = brightness["dark"]
    assert paper < 40 and ink > 200
    paper, ink = brightness["light"]
    assert paper > 240 and ink < 60


def test_a_clip_is_scrubbed_and_played(show):
    page = show("videos")
    figure = page.locator(".viewer").first
    scrubber, output = figure.locator(".scrubber"), figure.locator("output")
    assert output.inner_text() == "frame 0"
    first = picture_of(page)
    scrubber.fill("3")
    page.wait_for_selector(".viewer[data-frame='3']")
    assert output.inner_text() == "frame 12"
    assert picture_of(page) != first
    scrubber.fill("0")
    page.wait_for_selector(".viewer[data-frame='0']")
    assert picture_of(page) == first
    button = figure.locator(".play")
    button.click()
    assert button.inner_text() == "Pause"
    page.wait_for_selector(".viewer[data-frame='2']", timeout=30_000)
    button.click()
    assert button.inner_text() == "Play"


def test_hovering_names_tracks(show):
    page = show("videos")
    page.locator(".scrubber").first.fill("2")
    page.wait_for_selector(".viewer[data-frame='2']")
    stage = page.locator(".stage").first
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    # The predicted disc covers columns 2 to 6 and rows 6 to 10 of 16.
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2)
    assert told(page)[1].startswith("disc 1 ")


def test_paper_has_the_layer_and_no_controls(show):
    page = show("images")
    page.emulate_media(media="print")
    for css in (".toolbar", ".enlarge", "#tip"):
        assert page.locator(css).first.is_hidden()
    assert page.locator(".stage > canvas").first.is_visible()
    assert page.locator("table.bars").first.is_visible()


def test_without_script_scores_and_photos_are_there(show, browser, paths):
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(paths["images"].as_uri())
    assert page.locator("noscript").count() and page.locator(".toolbar").is_hidden()
    assert page.locator(".stage img").first.is_visible()
    assert page.locator(".scores").is_visible()
    page.close()
