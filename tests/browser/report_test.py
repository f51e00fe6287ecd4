"""Opens report.html in a headless Chromium and reads it as a person would: with eyes, pointer and keyboard.

    report_test.py MAKE_REPORT_PAGE SCRATCH_DIR [unittest's arguments]

Exits with 77 where Chromium, its driver or Selenium is missing, and where Chromium does not start.
"""

import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time
import unittest

SKIPPED = 77

try:
    from selenium import webdriver
    from selenium.common.exceptions import WebDriverException
    from selenium.webdriver import ActionChains
    from selenium.webdriver.chrome.service import Service
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys
except ImportError:
    print("report_test.py: skipped, because Python has no Selenium here (Debian: python3-selenium)")
    sys.exit(SKIPPED)

sys.dont_write_bytecode = True
import sample_results  # noqa: E402 (the line above is for it)

WIDTHS = (1280, 360)
DARK, LIGHT = "dark", "light"

# The contrast (WCAG 2.1, 1.4.3) of all texts with what is behind them, as [contrast, text] where it is below the limit.
LOW_CONTRASTS = """
  const parse = text => {
    const numbers = text.match(/[\\d.]+/g).map(Number);
    return numbers.length < 4 ? [...numbers, 1] : numbers;
  };
  const over = (top, below) => [0, 1, 2].map(i => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const luminance = rgb => {
    const [r, g, b] = rgb.slice(0, 3).map(c => c / 255).map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = element => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) layers.push(parse(getComputedStyle(e).backgroundColor));
    return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255, 1]);
  };
  const found = [];
  for (const element of document.querySelectorAll('body *')) {
    const texts = [...element.childNodes].filter(node => node.nodeType === 3 && node.textContent.trim());
    if (texts.length === 0 || element.getClientRects().length === 0 || element.closest('script, style, #banner')) continue;
    const style = getComputedStyle(element), below = behind(element);
    const color = element instanceof SVGElement ? style.fill : style.color;
    const [high, low] = [luminance(over(parse(color), below)), luminance(below)].sort((x, y) => y - x);
    const contrast = (high + 0.05) / (low + 0.05);
    if (contrast < 4.5) found.push([contrast, texts[0].textContent.trim()]);
  }
  return found;
"""

LINE_CONTRASTS = """
  const style = getComputedStyle(document.documentElement);
  const luminance = name => {
    const hex = style.getPropertyValue(name).trim();
    const [r, g, b] = [1, 3, 5].map(i => parseInt(hex.slice(i, i + 2), 16) / 255)
      .map(c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  return [1, 2, 3, 4, 5, 6, 7, 8].map(i => {
    const [high, low] = [luminance(`--line-${i}`), luminance('--panel')].sort((x, y) => y - x);
    return (high + 0.05) / (low + 0.05);
  });
"""

# Pages loaded with this refresh themselves after REFRESH seconds instead of five.
FAST_TIMERS = "{ const real = setInterval; window.setInterval = (call, time) => real(call, time / 10); }"
REFRESH = 0.5


def start_browser():
    """A headless Chromium; ends this program with 77 where there is none, or where it does not start."""
    driver_path = shutil.which("chromedriver")
    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    if not driver_path or not browser_path:
        print("report_test.py: skipped, because there is no chromium or chromedriver here (Debian: chromium, chromium-driver)")
        sys.exit(SKIPPED)
    options = webdriver.ChromeOptions()
    options.binary_location = browser_path
    for argument in ("--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars", "--window-size=1280,900"):
        options.add_argument(argument)
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")  # Chromium does not start otherwise
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    try:
        return webdriver.Chrome(service=Service(driver_path), options=options)
    except WebDriverException as error:
        print(f"report_test.py: skipped, because {browser_path} does not start: {error.msg}{why_not(browser_path)}")
        sys.exit(SKIPPED)


def why_not(browser_path):
    """What a browser that does not start says itself, where the driver tells no more than that it has ended."""
    command = [browser_path, "--headless=new", "--disable-gpu", "--dump-dom", "about:blank"]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"\n{error}"
    return "" if ended.returncode == 0 else f"\n{ended.stderr.strip()}"


class ReportTest(unittest.TestCase):
    """Each test opens pages of its own; after each, the console must be empty."""

    make_report_page = None
    scratch = None
    browser = None

    def setUp(self):
        self.show(LIGHT)

    def tearDown(self):
        self.assertEqual(self.browser.get_log("browser"), [], "the console")

    def write(self, name, results, *options):
        folder = self.scratch / name
        folder.mkdir(parents=True, exist_ok=True)
        for picture in results["pictures"]:
            if not (folder / picture["file"]).exists():
                sample_results.write_png(folder / picture["file"], 700, 60)
        (folder / "results.json").write_text(json.dumps(results), encoding="utf-8")
        subprocess.run([self.make_report_page, str(folder), *options], check=True)
        return folder / "report.html"

    def open(self, page, width=1280):
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                     {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False})
        self.browser.get("about:blank")  # else an address that differs by #part alone would not be loaded
        self.browser.get(page.as_uri())
        self.run_script("sessionStorage.clear()")

    def show(self, scheme):
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia",
                                     {"features": [{"name": "prefers-color-scheme", "value": scheme}]})

    def run_script(self, script, *arguments):
        return self.browser.execute_script(script, *arguments)

    def find(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def find_all(self, selector):
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def click(self, selector):
        element = self.find(selector)
        self.run_script("arguments[0].scrollIntoView({block: 'center'})", element)  # not behind the bar of contents
        element.click()

    def wait_for(self, what, condition, seconds=30):
        """What the condition gives when it first gives something."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            result = condition()
            if result:
                return result
            time.sleep(0.05)
        self.fail(f"waited {seconds} s for {what}")

    def open_everything(self):
        """Opens all sections and scrolls through, so that all is drawn; anew where the page has loaded itself again meanwhile."""
        def all_drawn():
            if self.run_script("return window.opened !== true"):
                self.run_script("window.opened = true;"
                                "document.querySelectorAll('details').forEach(details => { details.open = true; })")
                height = self.run_script("return document.documentElement.scrollHeight")
                for top in range(0, height, 800):
                    self.run_script("window.scrollTo(0, arguments[0]); return new Promise(done => requestAnimationFrame(() => "
                                    "requestAnimationFrame(done)))", top)
            return self.run_script("return [...document.querySelectorAll('.plot')].every(box => box.children.length === 1)")
        self.wait_for("all charts", all_drawn)

    def column(self, table, index):
        return [row.find_elements(By.CSS_SELECTOR, "th, td")[index].text
                for row in self.find_all(f"#{table} tbody tr")]

    def reloads_within(self, seconds):
        """Whether the page loads itself again; a mark in it is gone then."""
        self.run_script("window.marked = true")
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if not self.run_script("return window.marked === true"):
                return True
            time.sleep(0.03)
        return False


class Looks(ReportTest):
    """What is on the page, at every width, in light and dark."""

    def check_everywhere(self, page, charts):
        for width in WIDTHS:
            for scheme in (LIGHT, DARK):
                with self.subTest(page=page.parent.name, width=width, scheme=scheme):
                    self.show(scheme)
                    self.open(page, width)
                    self.open_everything()
                    self.assertEqual(len(self.find_all(".plot")), charts)
                    self.assertLessEqual(self.run_script("return document.documentElement.scrollWidth"), width)
                    self.assertEqual(self.run_script(LOW_CONTRASTS), [])
                    self.assertGreater(min(self.run_script(LINE_CONTRASTS)), 3)
                    fetched = self.run_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
                    self.assertEqual([name for name in fetched if not name.startswith("data:")], [])

    def test_all_recipes(self):
        page = self.write("all", sample_results.make_results())
        self.check_everywhere(page, charts=3 * 4 + 10 * 2 + 2)
        headings = [heading.text for heading in self.find_all("h2")]
        self.assertEqual(headings, ["Published against measured", "All experiments", "Recipe era", "Recipe tsai8", "Recipe eva6",
                                    "Batch size", "The data"])
        self.assertEqual(len(self.find_all(".picture img")), 11)
        for image in self.find_all(".picture img"):
            self.assertTrue(image.get_attribute("alt"))
            self.assertEqual(self.run_script("return arguments[0].naturalWidth", image), 700)
        self.assertFalse(self.find("#banner").is_displayed())
        for title in (self.find("h1").text, self.browser.title):
            self.assertIn("on CIFAR-10", title)

    def test_charts_begin_with_the_first_epoch(self):
        for epochs in (1, 2, 20):
            results = sample_results.make_results(seeds=(1,), names=("era",), study=False)
            results["experiments"][0]["epochs"] = epochs
            for norm in results["experiments"][0]["norms"]:
                del norm["runs"][0]["epochs"][epochs:]
            page = self.write(f"epochs-{epochs}", results, "--without-chart-library")
            self.open(page)
            left, right, ticks = self.run_script("""
                const svg = document.querySelector('#recipe-era .plot svg');
                const line = svg.querySelector('polyline').points;
                const ticks = [...svg.querySelectorAll('text')].filter(text => text.getAttribute('text-anchor') === 'middle')
                  .map(text => text.textContent).filter(text => /^[0-9]+$/.test(text)).map(Number);
                return [line[0].x, line[line.length - 1].x, ticks];""")
            frame = (58, self.find("#recipe-era .plot svg").rect["width"] - 12)
            if epochs == 1:
                self.assertAlmostEqual(left, sum(frame) / 2, delta=1)
                self.assertEqual(ticks, [1])
            else:
                self.assertAlmostEqual(left, frame[0], delta=1)
                self.assertAlmostEqual(right, frame[1], delta=1)
                self.assertGreaterEqual(min(ticks), 1)
            self.open(self.write(f"epochs-{epochs}", results))
            if not self.run_script("return typeof Chart !== 'undefined'"):
                continue
            axis = "Chart.getChart(document.querySelector('#recipe-era .plot canvas')).scales.x"
            self.wait_for("the chart", lambda: self.run_script("return Boolean(Chart.getChart(document.querySelector('.plot canvas')))"))
            low, high, values = self.run_script(f"return [{axis}.min, {axis}.max, {axis}.ticks.map(tick => tick.value)]")
            self.assertEqual((low, high), (0.5, 1.5) if epochs == 1 else (1, epochs))
            self.assertTrue(all(value == int(value) and 1 <= value <= epochs for value in values), values)

    def test_a_single_seed_has_no_spread(self):
        results = sample_results.make_results(seeds=(1,), names=("era",), study=False)
        for norm in results["experiments"][0]["norms"]:
            del norm["seconds_per_epoch"], norm["images_per_second"]
        self.open(self.write("one-seed", results))
        self.assertNotIn("\u00b1", self.find("#figures-era").text)

    def test_a_picture_has_its_title_once(self):
        results = sample_results.make_results(names=("era",), study=False)
        self.open(self.write("titles", results))
        self.open_everything()
        text = self.find("main").text
        for picture in results["pictures"]:  # which bear theirs themselves
            self.assertNotIn(picture["title"], text)

    def test_augmentation_is_told(self):
        self.open(self.write("augmentation", sample_results.make_results(names=("era", "eva6"), study=False)))
        plain, mirrored = (facts.text for facts in self.find_all("ul.facts"))
        self.assertNotIn("training images", plain)
        self.assertIn("50 % of the training images mirrored", mirrored)
        self.assertIn("training images moved by up to 1 pixel", mirrored)

    def test_while_it_runs(self):
        self.check_everywhere(self.write("runs", sample_results.stop_in_the_middle(sample_results.make_results())),
                              charts=3 * 4 + 9 * 2)

    def test_without_chart_library(self):
        page = self.write("static", sample_results.make_results(names=("tsai8",)), "--without-chart-library")
        self.check_everywhere(page, charts=4 + 4 * 2 + 2)
        self.assertEqual(self.find_all("canvas"), [])
        svg = "#recipe-tsai8 .plot svg"
        self.assertEqual(len(self.find_all(f"{svg}:first-child")), 12)
        lines = self.run_script(f"return document.querySelector('{svg}').querySelectorAll('polyline').length")
        self.assertEqual(lines, 4)
        dots = self.run_script(f"return [...document.querySelectorAll('{svg} circle title')].map(title => title.textContent)")
        self.assertIn("epoch 11, BN: ", "\n".join(dots))

    def test_before_the_first_epoch(self):
        results = sample_results.make_results(names=(), study=False)
        results.update(finished=False, pictures=[])
        self.open(self.write("empty", results))
        self.assertIn("no result yet", self.find("main").text)
        results = sample_results.make_results(names=("era",), study=False)
        for norm in results["experiments"][0]["norms"]:
            norm["runs"] = []
            for name in ("confusion", "class_accuracy", "seconds_per_epoch", "images_per_second"):
                del norm[name]
        self.open(self.write("no-epochs", results))
        self.assertIn("Recipe era", self.find("main").text)

    def test_losses_that_are_not_finite(self):
        results = sample_results.make_results(names=("era",), study=False)
        for run in results["experiments"][0]["norms"][0]["runs"]:
            for record in run["epochs"]:
                record["train_loss"] = record["test_loss"] = None
        self.check_everywhere(self.write("diverged", results), charts=4 + 3 * 2)
        self.check_everywhere(self.write("diverged-static", results, "--without-chart-library"), charts=4 + 3 * 2)

    def test_synthetic_data_are_announced_and_not_compared(self):
        results = sample_results.make_results(names=("era",))
        results["synthetic"] = True
        self.open(self.write("synthetic", results))
        banner = self.find("#banner")
        self.assertTrue(banner.is_displayed())
        self.assertIn("SYNTHETIC DATA", banner.text.upper())
        self.assertEqual(banner.rect["y"], 0)
        text = self.find("main").text.lower()
        self.assertNotIn("published", text)
        for title in (self.find("h1").text, self.browser.title):
            self.assertIn("on synthetic textures", title)
            self.assertNotIn("CIFAR-10", title)

    def test_names_that_are_html(self):
        results = sample_results.make_results(names=("era",))
        results["data"] = 'CIFAR-10 from "</script><script>document.title = "taken over"</script><b>x</b>"'
        self.open(self.write("names", results))
        self.assertIn("</script>", self.find("#facts").text)
        self.assertNotEqual(self.browser.title, "taken over")


class Reads(ReportTest):
    """What the pointer and the keyboard do, and whether the figures are right."""

    def test_values_under_the_pointer(self):
        results = sample_results.make_results(names=("era",))
        self.open(self.write("hover", results))
        if not self.run_script("return typeof Chart !== 'undefined'"):
            self.skipTest("built without Chart.js")
        for scheme in (LIGHT, DARK):
            self.show(scheme)
            self.wait_for("charts in new colours", lambda: self.run_script(
                "const chart = Chart.getChart(document.querySelector('#recipe-era .plot canvas'));"
                "const ink = getComputedStyle(document.documentElement).getPropertyValue('--ink').trim();"
                "return chart.options.plugins.legend.labels.color === ink"))
            canvas = self.find("#recipe-era .plot canvas")
            self.run_script("arguments[0].scrollIntoView({block: 'center'})", canvas)
            before = canvas.screenshot_as_png
            ActionChains(self.browser).move_to_element_with_offset(canvas, 30, 10).perform()
            tooltip = "Chart.getChart(document.querySelector('#recipe-era .plot canvas')).tooltip"
            self.wait_for("the values", lambda: self.run_script(f"return {tooltip}.opacity") == 1)
            title, lines = self.run_script(f"return [{tooltip}.title[0], {tooltip}.body.map(item => item.lines[0])]")
            epoch = int(title.removeprefix("epoch: "))
            self.assertIn(epoch, range(8, 16))
            expected = []
            for norm in results["experiments"][0]["norms"]:
                values = [run["epochs"][epoch - 1]["test_acc"] for run in norm["runs"]]
                expected.append(f"{norm['title']}: {statistics.mean(values):.2f} \u00b1 {statistics.stdev(values):.2f} % "
                                f"({min(values):.2f} to {max(values):.2f})")
            self.assertEqual(lines, expected)
            self.assertNotEqual(canvas.screenshot_as_png, before)
            ActionChains(self.browser).move_to_element(self.find("h1")).perform()

    def test_a_click_sorts_numbers_as_numbers(self):
        self.open(self.write("sort", sample_results.make_results(names=("era",))))
        head = "#study-table th:nth-child(2)"
        self.assertEqual(self.find(head).get_attribute("aria-sort"), "none")
        self.click(f"{head} button")
        sizes = [size for size in ("2", "4", "8", "16", "32", "64", "128", "256") for _ in range(3)]
        self.assertEqual(self.column("study-table", 1), sizes)
        self.assertEqual(self.find(head).get_attribute("aria-sort"), "ascending")
        self.click(f"{head} button")
        self.assertEqual(self.column("study-table", 1), sizes[::-1])
        self.assertEqual(self.find(head).get_attribute("aria-sort"), "descending")
        self.find("#study-table th:nth-child(1) button").send_keys(Keys.ENTER)
        self.assertEqual(self.column("study-table", 0), ["BN"] * 8 + ["GN"] * 8 + ["LN"] * 8)
        self.assertEqual(self.find(head).get_attribute("aria-sort"), "none")

    def test_what_is_not_known_is_last(self):
        self.open(self.write("missing", sample_results.make_results(names=("tsai8",))))
        button = self.find("#published-table th:nth-child(7) button")  # published training accuracy
        for expected in (["73.52", "80.47", "\u2013"], ["80.47", "73.52", "\u2013"]):
            button.click()
            self.assertEqual(self.column("published-table", 6), expected)

    def test_published_figures_are_compared_at_their_epoch(self):
        results = sample_results.make_results(names=("tsai8",))
        self.open(self.write("published", results))
        measured = statistics.mean(run["epochs"][8]["test_acc"] for run in results["experiments"][0]["norms"][0]["runs"])
        difference = f"{measured - 72.66:+.2f}".replace("-", "\u2212")
        first_row = [cell.text for cell in self.find_all("#published-table tbody tr:first-child > *")]
        self.assertEqual(first_row[:4] + first_row[5:6], ["tsai8", "BN", "9", "72.66", difference])
        self.assertTrue(first_row[4].startswith(f"{measured:.2f} \u00b1 "))

    def test_a_published_epoch_that_was_not_reached_is_not_compared(self):
        results = sample_results.make_results(seeds=(1,), names=("tsai8",))
        for norm in results["experiments"][0]["norms"]:
            del norm["runs"][0]["epochs"][5:]
        results["experiments"][0]["epochs"] = 5
        self.open(self.write("short", results))
        self.assertEqual(self.column("published-table", 4), ["\u2013"] * 3)
        self.assertIn("no run has come that far", self.find("#published").text)
        self.assertEqual(self.column("published-table", 5), ["\u2013"] * 3)

    def test_outputs_that_are_no_class_are_counted_together(self):
        results = sample_results.make_results(names=("tsai8",))
        confusion = results["experiments"][0]["norms"][0]["confusion"]
        confusion[0][10:13] = [5, 6, 7]
        self.open(self.write("outputs", results))
        table = "confusion-tsai8-bn"
        self.assertEqual(len(self.column(table, 11)), 10)
        self.assertEqual(self.column(table, 11)[:2], ["18", "0"])
        self.assertEqual(self.column(table, 1)[0], str(confusion[0][0]))

    def test_the_size_of_a_picture(self):
        page = self.write("zoom", sample_results.make_results(names=("era",)))
        for width, own_size_first in ((360, True), (680, False)):  # on a phone, its captions could not be read
            self.open(page, width)
            picture = self.find("#data .picture")
            for own_size in (own_size_first, not own_size_first):
                shown = picture.find_element(By.TAG_NAME, "img").rect["width"]
                if own_size:
                    self.assertEqual(shown, 700)
                else:
                    self.assertLess(shown, width)
                self.assertLessEqual(self.run_script("return document.documentElement.scrollWidth"), width)
                picture.click()


class Refreshes(ReportTest):
    """A page of a training that runs loads itself again, and a reader hardly notices."""

    def be_quick(self):
        script = self.browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": FAST_TIMERS})
        self.addCleanup(self.browser.execute_cdp_cmd, "Page.removeScriptToEvaluateOnNewDocument", script)

    def view(self):
        """What a reader sees and has done, read at once: the page may be another one in the next moment."""
        return self.run_script("""
            const find = selector => document.querySelector(selector);
            if (document.readyState !== 'complete' || !find('#figures-era tbody tr')) return null;
            return {
              epoch: find('#status').textContent.match(/epoch [0-9]+/)?.[0] ?? null,
              norms: [...document.querySelectorAll('#figures-era tbody tr')].map(row => row.cells[0].textContent.trim()),
              sort: find('#figures-era th:nth-child(2)').ariaSort,
              open: ['bn', 'gn'].map(norm => find('#norm-era-' + norm).open),
              place: find('#classes-era').getBoundingClientRect().top,
            };""")

    def test_until_it_has_finished(self):
        whole = sample_results.make_results(names=("era",))
        running = sample_results.stop_in_the_middle(whole)
        page = self.write("refresh", running)
        self.open(page)
        self.click("#pause")  # until all is in place
        self.assertIn("era, GN, seed 1: epoch 7 of 20", self.find("#status").text)
        self.assertIn("is the program still running?", self.find("#age").text)  # the sample is old
        self.click("#contents a:last-child")  # which puts a #part into the address
        self.click("#figures-era th:nth-child(2) button")
        self.click("#norm-era-bn summary")
        self.click("#norm-era-gn summary")
        self.run_script("document.getElementById('classes-era').scrollIntoView(); window.scrollBy(0, 33)")
        before = self.view()
        self.assertEqual((before["epoch"], before["sort"], before["open"]), ("epoch 7", "ascending", [False, True]))

        running["experiments"][0]["norms"][1]["runs"][0]["epochs"].append(
            whole["experiments"][0]["norms"][1]["runs"][0]["epochs"][7])
        self.write("refresh", running)
        self.be_quick()
        self.run_script("document.getElementById('pause').click()")  # without scrolling to it
        self.assertTrue(self.reloads_within(30), "the page does not refresh itself")

        def next_epoch_at_the_same_place():
            view = self.view()
            return view and view["epoch"] == "epoch 8" and abs(view["place"] - before["place"]) <= 2 and view
        after = self.wait_for("the next epoch at the same place", next_epoch_at_the_same_place)
        self.assertEqual({**after, "place": 0}, {**before, "epoch": "epoch 8", "place": 0})

        self.write("refresh", whole)
        self.wait_for("the page to find out that training has finished", lambda: self.run_script(
            "return document.querySelector('#status')?.textContent.includes('Finished') ?? false"))
        self.assertFalse(self.reloads_within(10 * REFRESH), "the page refreshes itself after the end")

    def test_after_an_interruption(self):
        results = sample_results.stop_in_the_middle(sample_results.make_results(names=("era",)))
        results.update(interrupted=True, resume="cifar10_norms --seed 1,2,3 --resume")
        self.open(self.write("interrupted", results))
        for part in ("Interrupted", "epoch 7 of 20", "Go on with cifar10_norms --seed 1,2,3 --resume"):
            self.assertIn(part, self.find("#status").text)
        self.be_quick()
        self.browser.refresh()
        self.assertFalse(self.reloads_within(10 * REFRESH))

    def test_after_an_error(self):
        results = sample_results.stop_in_the_middle(sample_results.make_results(names=("era",)))
        results.update(failed="cannot write <b>: No space left", resume="cifar10_norms --resume")
        for failed, text in ((results["failed"], "cannot write <b>: No space left"), (True, "could not be written here")):
            results["failed"] = failed
            self.open(self.write("failed", results))
            for part in ("Failed", text, "epoch 7 of 20", "Go on with cifar10_norms --resume"):
                self.assertIn(part, self.find("#status").text)
        self.be_quick()
        self.browser.refresh()
        self.assertFalse(self.reloads_within(10 * REFRESH))

    def test_not_while_it_is_paused(self):
        self.open(self.write("pause", sample_results.stop_in_the_middle(sample_results.make_results(names=("era",)))))
        self.click("#pause")
        self.be_quick()
        self.browser.refresh()  # it remembers that it is paused
        self.assertFalse(self.reloads_within(10 * REFRESH))
        self.click("#pause")
        self.assertTrue(self.reloads_within(30))


def main():
    ReportTest.make_report_page = sys.argv[1]
    scratch = pathlib.Path(sys.argv[2]) / "report"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    ReportTest.scratch = scratch
    ReportTest.browser = start_browser()
    try:
        unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
    finally:
        ReportTest.browser.quit()


if __name__ == "__main__":
    main()
