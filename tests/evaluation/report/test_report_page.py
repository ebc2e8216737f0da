"""The page of a report in a browser: for a run with malicious names, and for other kinds of run."""

import itertools
import json
import re

import cv2
import numpy as np
import pytest
from reference_browser import open_browser, overflow, visit
from reference_pages import (
    CURVES,
    MALICIOUS_CLASS,
    MALICIOUS_IMAGE,
    written,
    written_of_a_run,
    written_of_many_classes,
)

PHONE = 390


@pytest.fixture(scope="module")
def page_of(tmp_path_factory):
    """Pages of a run, of one image, of plain upsampling, of many classes, and with the curves of several runs."""
    place = tmp_path_factory.mktemp("reports")
    (place / "val-trimap.json").write_text(json.dumps({"distances": [1, 2, 4], "curves": CURVES}))
    return {
        "run": written_of_a_run(place / "run"),
        "one": written(place / "one.html", 1, "fusion"),
        "plain": written(place / "plain.html", 3, "none"),
        "many": written_of_many_classes(place / "many.html"),
        "curves": written(place / "curves.html", 2, "fusion", place / "val-trimap.json"),
    }


@pytest.fixture(scope="module")
def browser(page_of):
    with open_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def run(page_of):
    return page_of["run"].path.as_uri()


@pytest.fixture
def page(browser, run):
    with visit(browser, run) as page:
        yield page


def shot(locator):
    """A screenshot, RGB."""
    return cv2.imdecode(np.frombuffer(locator.screenshot(), np.uint8), cv2.IMREAD_COLOR)[..., ::-1].astype(int)


def choose(figure, side, layer):
    figure.locator(f"[data-side={side}] button[data-layer={layer}]").click()


# The slider


def differing(first, second):
    """Which columns differ, below the names of the layers and beside the handle."""
    return (np.abs(first - second)[40:].max(2) > 8).mean(0) > 0.05


def at(figure, part):
    """Drags the slider from the middle to a part of the image's width, and looks."""
    stage = figure.locator(".stage")
    stage.scroll_into_view_if_needed()
    box = stage.bounding_box()
    mouse, y = figure.page.mouse, box["y"] + box["height"] * 0.8
    mouse.move(box["x"] + box["width"] / 2, y)
    mouse.down()
    mouse.move(box["x"] + box["width"] * part, y, steps=4)
    mouse.up()
    return shot(stage)


def test_dragging_the_slider_shows_the_left_layer_up_to_the_pointer_and_the_right_one_from_there(page):
    figure = page.locator(".image").first
    choose(figure, "left", "truth")
    left, right, between = at(figure, 1), at(figure, 0), at(figure, 0.25)
    width = between.shape[1]
    margin = 24  # pixels, of the handle
    cut = width // 4
    assert differing(left, right).mean() > 0.5
    assert not differing(left, between)[margin : cut - margin].any()
    assert not differing(right, between)[cut + margin : -margin].any()
    assert differing(right, between)[margin : cut - margin].mean() > 0.3


def test_the_keyboard_moves_the_slider_and_the_image_with_it(page):
    figure = page.locator(".image").first
    slider, layer = figure.locator("input"), figure.locator(".layer.right")
    clip = "getComputedStyle(node).clipPath"
    before, seen = layer.evaluate(f"node => {clip}"), shot(figure.locator(".stage"))
    slider.focus()
    for _ in range(20):
        page.keyboard.press("ArrowRight")
    value = float(slider.input_value())
    assert value > 60
    assert before == "inset(0px 0px 0px 50%)"
    assert layer.evaluate(f"node => {clip}") == f"inset(0px 0px 0px {value:g}%)"
    assert (np.abs(shot(figure.locator(".stage")) - seen) > 8).mean() > 0.02
    page.keyboard.press("Home")
    assert layer.evaluate(f"node => {clip}") in ("inset(0px)", "inset(0px 0px 0px 0%)")


def test_a_tap_moves_the_slider_on_a_phone(browser, run):
    with visit(browser, run, width=PHONE, height=844, has_touch=True, is_mobile=True) as page:
        stage = page.locator(".stage").first
        stage.scroll_into_view_if_needed()
        box = stage.bounding_box()
        page.touchscreen.tap(box["x"] + box["width"] * 0.2, box["y"] + box["height"] * 0.5)
        assert float(stage.locator("input").input_value()) == pytest.approx(20, abs=3)


# The layers


def test_another_pair_is_chosen_by_buttons(page):
    figure = page.locator(".image").first
    before = shot(figure.locator(".stage"))
    choose(figure, "right", "offsets")
    assert figure.locator(".layer.right").get_attribute("data-layer") == "offsets"
    pressed = figure.locator("button[aria-pressed=true]")
    assert pressed.all_inner_texts() == ["image", "offsets"]
    assert "Compare image and offsets" in figure.locator("input").get_attribute("aria-label")
    half = before.shape[1] // 2
    changed = np.abs(shot(figure.locator(".stage")) - before).max(2) > 8
    assert changed[40:, half + 24 :].mean() > 0.3 and not changed[40:, : half - 24].any()


def test_a_layer_that_is_on_the_other_side_already_changes_places_with_it(page):
    figure = page.locator(".image").first
    choose(figure, "left", "prediction")
    assert figure.locator("button[aria-pressed=true]").all_inner_texts() == ["prediction", "image"]


def test_the_buttons_above_choose_for_all_images_and_those_of_an_image_for_it_alone(page):
    choose(page.locator(".image").first, "right", "errors")
    rights = page.locator(".image .layer.right")
    assert rights.evaluate_all("nodes => nodes.map(node => node.dataset.layer)") == ["errors", *["prediction"] * 3]
    choose(page.locator(".tools"), "right", "truth")
    assert rights.evaluate_all("nodes => nodes.map(node => node.dataset.layer)") == ["truth"] * 4


def test_the_worst_and_the_best_images_are_shown_with_their_miou(page):
    scores = [float(re.search(r"[\d.]+", text)[0]) for text in page.locator(".score").all_inner_texts()]
    assert page.locator("#images h3").all_inner_texts() == ["Worst images", "Best images"]
    assert scores[:2] == sorted(scores[:2]) and scores[2:] == sorted(scores[2:], reverse=True)
    assert max(scores[:2]) <= min(scores[2:])


# Tables


def test_the_class_table_has_the_scores_and_a_dash_for_what_never_occurs(page, page_of):
    rows = {}
    for row in page.locator("#classes .scores tbody tr").all():
        rows[row.locator("th").inner_text()] = row.locator("td").all_inner_texts()
    for name, iou in page_of["run"].scores["iou"].items():
        assert rows[name][0] == ("–" if iou is None else f"{100 * iou:.1f}")
    assert rows["fence"] == ["–", "–", "–", "0.00"]


def test_a_heading_sorts_the_classes_those_without_a_value_last(page):
    page.get_by_role("button", name="IoU %").click()
    column = page.locator("#classes .scores tbody td:nth-child(2)")
    values = column.all_inner_texts()
    numbers = [float(value) for value in values if value != "–"]
    assert numbers == sorted(numbers) and set(values[len(numbers) :]) == {"–"} and len(set(numbers)) > 3
    page.get_by_role("button", name="IoU %").click()
    assert [float(value) for value in column.all_inner_texts()[: len(numbers)]] == sorted(numbers, reverse=True)
    assert page.locator("th[aria-sort=descending]").all_inner_texts() == ["IoU %"]


def counts_of(page):
    cells = "row => [...row.querySelectorAll('td')].map(cell => Number(cell.dataset.n || 0))"
    return np.array([row.evaluate(cells) for row in page.locator(".matrix tbody tr").all()])


def test_the_matrix_says_by_mouse_and_keyboard_what_a_cell_is(page):
    counts = counts_of(page)
    row, column = np.unravel_index((counts * (1 - np.eye(19, dtype=int))).argmax(), counts.shape)
    names = page.locator(".matrix tbody th").all_inner_texts()
    page.locator(".matrix tbody tr").nth(row).locator("td").nth(column).hover()
    readout = page.locator(".readout")
    share = 100 * counts[row, column] / counts[row].sum()
    text = readout.inner_text()
    assert text.startswith(f"{names[row]} predicted as {names[column]}: ") and f"({counts[row, column]:,})" in text
    assert float(re.search(r"([\d.e+]+) %", text)[1]) == pytest.approx(share, rel=0.01)
    page.mouse.move(0, 0)
    page.locator(".matrix").focus()
    page.keyboard.press("ArrowRight")
    following = min(column + 1, 18)
    expected = "correctly" if following == row else f"as {names[following]}"
    assert readout.inner_text().startswith(f"{names[row]} predicted {expected}: ")


def test_the_matrix_holds_the_pixels_from_which_the_scores_are(page, page_of):
    counts = counts_of(page)
    assert np.trace(counts) / counts.sum() == pytest.approx(page_of["run"].scores["accuracy"])


def test_cityscapes_further_scores_are_shown(browser, page_of):
    made = page_of["plain"]
    with visit(browser, made.path.as_uri()) as page:
        for table, keys in enumerate((("iou", "iiou"), ("category_iou", "category_iiou"))):
            rows = page.locator("#classes .scores").nth(table).locator("tbody tr").all()
            for row in rows:
                values = [made.scores[key][row.locator("th").inner_text()] for key in keys]
                expected = ["–" if value is None else f"{100 * value:.1f}" for value in values]
                assert row.locator("td").all_inner_texts()[:2] == expected
            assert len(rows) == len(made.scores[keys[0]])
        assert {"Mean iIoU", "mIoU of categories"} <= set(page.locator(".headline dt").all_inner_texts())


def test_the_curves_of_a_trimap_of_several_runs_are_drawn_by_name(browser, page_of):
    with visit(browser, page_of["curves"].path.as_uri()) as page:
        points = [
            page.locator(f"#boundaries use[style*='--line{line}'] title").all_text_contents() for line in range(3)
        ]
        assert points == [["1: 25", "2: 50"], ["1: 12.5", "2: 25", "4: 37.5"], ["1: 10", "2: 20", "4: 30"]]
        names = page.locator("#boundaries .chip").all_inner_texts()
        assert names == ["fusion, runs/a", "fusion, runs/<b>", "baseline"]


# Whatever the names and the runs


def test_names_of_classes_and_images_are_text_and_nothing_else(browser, run, page_of):
    said = []
    with visit(browser, "about:blank") as page:
        page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
        page.goto(run)
        assert page.locator("#classes th", has_text=MALICIOUS_CLASS).first.inner_text() == MALICIOUS_CLASS
        assert all(name.startswith(MALICIOUS_IMAGE) for name in page.locator(".image .name").all_inner_texts())
        page.locator(".matrix td").first.hover()
        assert page.locator(".readout").inner_text().startswith(MALICIOUS_CLASS)
        assert page.locator("script").count() == 1 and page.locator("img[onerror]").count() == 0
    assert said == []
    text = page_of["run"].path.read_text()
    assert text.count("<script") == 1 and "<img src=x" not in text


def test_one_image_is_enough_and_a_run_without_rows_has_no_curves(browser, page_of):
    with visit(browser, page_of["one"].path.as_uri()) as page:
        assert page.locator("#images h3").all_inner_texts() == ["All images, the worst first"]
        assert page.locator(".image").count() == 1
        assert page.locator("#training").count() == 0 and page.locator("#boundaries svg").count() == 1


def test_a_network_without_guidance_has_no_offsets_to_choose(browser, page_of):
    with visit(browser, page_of["plain"].path.as_uri()) as page:
        names = page.locator(".image").first.locator("[data-side=left] button").all_inner_texts()
        assert names == ["image", "truth", "prediction", "errors"] and page.locator(".wheel").count() == 0
        assert page.locator(".keys .chip").all_inner_texts() == ["right", "wrong", "ignored"]


def test_a_matrix_of_many_classes_scrolls_in_its_box_and_says_what_its_cells_are(browser, page_of):
    with visit(browser, page_of["many"].path.as_uri(), width=PHONE) as page:
        matrix = page.locator(".matrix")
        assert matrix.evaluate("box => box.scrollWidth > 3 * box.clientWidth && box.clientWidth < innerWidth")
        assert matrix.locator("td").count() == 150 * 150
        names = matrix.locator("tbody th span").all_text_contents()
        matrix.focus()
        for _ in range(41):
            page.keyboard.press("ArrowRight")
        cell, box = page.locator("td.at").bounding_box(), matrix.bounding_box()
        assert names[0] in page.locator(".readout").inner_text() and names[40] in page.locator(".readout").inner_text()
        assert box["y"] < cell["y"] < box["y"] + box["height"] and box["x"] + 80 < cell["x"] < box["x"] + box["width"]


def test_of_many_classes_in_an_image_the_legend_shows_the_largest_and_the_others_on_demand(browser, page_of):
    with visit(browser, page_of["many"].path.as_uri()) as page:
        chips = page.locator(".image .chip")
        visible = "chips => chips.map(chip => chip.checkVisibility())"
        shown = chips.evaluate_all(visible)
        assert shown == [True] * 20 + [False] * (len(shown) - 20)
        page.locator(".image summary", has_text=f"{len(shown) - 20} more").click()
        assert set(chips.evaluate_all(visible)) == {True}


def test_curves_of_the_training_settings_and_versions_are_there(page):
    assert page.locator("#training figcaption").all_inner_texts() == ["Training loss, nats per pixel", "Learning rate"]
    assert page.locator("#training use").count() == 6
    changed = page.locator("#settings tr.changed", has_text="width")
    assert changed.inner_text().split() == ["width", "0.1", "default", "1.0"]
    assert {"gun_jax", "jax", "flax", "Python", "platform"} <= set(page.locator("#versions dt").all_inner_texts())
    assert "7" in page.locator("#versions dd", has_text="step").inner_text()


def test_the_time_of_an_image_has_its_spread(page):
    facts = dict(zip(*(page.locator(f"#speed {tag}").all_inner_texts() for tag in ("dt", "dd")), strict=True))
    assert facts == {
        "Time per image, median": "41.0 ms",
        "Range of 9 runs": "40.0 to 50.0 ms",
        "Images per second": "24.4",
        "Device": "a device",
    }
    assert "128×64" in page.locator("#speed .note").inner_text()


# However it is looked at


@pytest.mark.parametrize("name", ["run", "one", "plain", "many", "curves"])
def test_the_page_is_never_wider_than_its_window(browser, page_of, name):
    with visit(browser, page_of[name].path.as_uri()) as page:
        for width in (320, PHONE, 768, 1280, 1920):
            page.set_viewport_size({"width": width, "height": 800})
            assert overflow(page) <= 0, width


ALL_STRENGTHS = """
() => document.querySelectorAll(".matrix td").forEach((cell, i) => {
  cell.textContent = i;
  cell.className = i % 2 ? "hit" : "";
  cell.style.setProperty("--s", `${i % 101}%`);
})
"""
CONTRASTS = """
() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", {willReadFrequently: true});
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = (color) => color.slice(0, 3).reduce((sum, value, i) => {
    const c = value / 255;
    return sum + [0.2126, 0.7152, 0.0722][i] * (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
  }, 0);
  const behind = (node) => {
    for (; node; node = node.parentElement) {
      const color = rgba(getComputedStyle(node).backgroundColor);
      if (color[3] === 255) return color;
    }
    return [255, 255, 255, 255];
  };
  const found = [];
  for (const node of document.querySelectorAll("body *")) {
    const text = [...node.childNodes].filter((one) => one.nodeType === 3).map((one) => one.data.trim()).join("");
    if (!text || !node.checkVisibility() || ["SCRIPT", "TITLE"].includes(node.tagName.toUpperCase())) continue;
    const style = getComputedStyle(node);
    const [one, other] = [light(rgba(node.closest("svg") ? style.fill : style.color)), light(behind(node))];
    found.push([(Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05), text]);
  }
  return {found, background: light(behind(document.body))};
}
"""


@pytest.mark.parametrize("dark", [False, True])
def test_all_text_stands_out_from_what_is_behind_it_in_light_and_dark(browser, run, dark):
    with visit(browser, run, dark=dark) as page:
        page.evaluate(ALL_STRENGTHS)
        seen = page.evaluate(CONTRASTS)
    assert len(seen["found"]) > 300
    assert [text for contrast, text in seen["found"] if contrast < 4.5] == []
    assert seen["background"] < 0.02 if dark else seen["background"] > 0.9


def test_on_paper_all_layers_are_beside_one_another_and_it_is_light(browser, run):
    with visit(browser, run, dark=True) as page:
        page.emulate_media(media="print", color_scheme="dark")
        boxes = [layer.bounding_box() for layer in page.locator(".image").first.locator(".layer").all()]
        assert len(boxes) == 5 and all(box["width"] > 20 for box in boxes)
        assert all(one["x"] + one["width"] <= other["x"] for one, other in itertools.pairwise(boxes))
        assert not page.locator(".pair").first.is_visible()
        seen = page.evaluate(CONTRASTS)
        assert seen["background"] > 0.9 and all(contrast >= 4.5 for contrast, _ in seen["found"])
        assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light"


def test_without_scripts_all_layers_and_numbers_are_there(browser, run):
    with visit(browser, run, java_script_enabled=False) as page:
        assert all(layer.is_visible() for layer in page.locator(".image").first.locator(".layer").all())
        assert not page.locator(".image input").first.is_visible() and page.locator(".matrix td").first.is_visible()


# The tests' own tool


def test_a_page_that_loads_from_elsewhere_or_logs_an_error_fails_its_visit(browser, tmp_path):
    (tmp_path / "asks.html").write_text("<img src='http://192.0.2.1/a.png'>")
    (tmp_path / "fails.html").write_text("<script>nothing.there</script>")
    for name in ("asks", "fails"):
        with pytest.raises(AssertionError), visit(browser, (tmp_path / f"{name}.html").as_uri()) as page:
            page.wait_for_timeout(50)
