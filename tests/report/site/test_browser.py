"""The site in a real browser, from disk."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers.site_records import EVIL

pytestmark = pytest.mark.browser
KINDS = ("index.html", "cell", "methods/index.html", "methods/pcee.html", "protocol.html", "downloads.html")


def values(page: Any, key: str, table: str = "#d-leaderboard") -> list[str]:
    """What the visible rows of a table hold in one column, in their order."""
    return page.evaluate(
        """([table, key]) => {
        const t = document.querySelector(table);
        const at = [...t.tHead.rows[0].cells].findIndex((h) => h.dataset.key === key);
        return [...t.tBodies[0].rows].filter((r) => !r.hidden).map((r) => r.cells[at].dataset.value);
    }""",
        [table, key],
    )


def head(key: str) -> str:
    return f'#d-leaderboard th[data-key="{key}"] button'


def test_all_pages_load_without_network_errors_or_dialogs(browser, site):
    context = browser.new_context()
    context.set_default_timeout(120_000)
    page = context.new_page()
    asked: list[str] = []
    wrong: list[str] = []
    page.on("request", lambda r: asked.append(r.url))
    page.on("console", lambda m: wrong.append(f"{page.url}: {m.type} {m.text}"))
    page.on("pageerror", lambda e: wrong.append(f"{page.url}: {e}"))
    page.on("dialog", lambda d: (wrong.append(f"{page.url}: dialog {d.message}"), d.dismiss()))
    page.on("requestfailed", lambda r: wrong.append(f"{r.url} failed"))
    for path in sorted(site.rglob("*.html")):
        page.goto(path.as_uri())
        if path.is_relative_to(site / "settings"):
            page.wait_for_selector("#plot .scatterlayer .point", state="attached")
            page.select_option("#view", index=2)
            page.click("[data-show=all]")
            page.evaluate("Plotly.Fx.hover('plot', [{curveNumber: 0, pointNumber: 0}])")
            for tab in page.get_by_role("tab").all():
                tab.click()
        if page.locator("#finder").count():
            page.locator("#loss").press("ArrowRight")
    context.close()
    assert wrong == []
    assert asked
    assert {url.partition(":")[0] for url in asked} <= {"file", "data", "blob"}
    root = site.parent.as_uri()
    assert all(url.startswith(root) for url in asked if url.startswith("file:"))


def test_the_policy_stops_what_would_reach_for_the_network(visit):
    page = visit("cell")
    stopped = page.evaluate(
        """async () => {
        const seen = [];
        document.addEventListener("securitypolicyviolation", (e) => seen.push(e.effectiveDirective));
        await fetch("http://127.0.0.1:9/").catch(() => 0);
        const image = new Image(); image.src = "http://127.0.0.1:9/a.png"; document.body.append(image);
        const script = document.createElement("script"); script.textContent = "window.ran = 1";
        document.body.append(script);
        await new Promise((done) => setTimeout(done, 300));
        return [seen.sort(), window.ran ?? 0];
    }"""
    )
    assert stopped == [["connect-src", "img-src", "script-src-elem"], 0]


def test_plots_draw_every_point_and_the_legend_chooses_lines(visit):
    page = visit("cell")
    drawn = "document.querySelectorAll('#plot .scatterlayer .trace').length"
    wanted = """() => { const d = JSON.parse(document.getElementById("plot-data").textContent);
        const on = [...document.querySelectorAll(".legend button")].map((b) => b.ariaPressed === "true");
        const view = d.views[Number(document.getElementById("view").value)];
        return view.traces.filter((t) => on[t.series] && d.series[t.series].symbol)
            .reduce((n, t) => n + t.x.length, 0); }"""
    points = "document.querySelectorAll('#plot .scatterlayer .point').length"
    page.select_option("#view", label="Accuracy")
    assert page.evaluate(points) == page.evaluate(wanted) > 20
    before = page.evaluate(drawn)
    first = page.locator(".legend button").first
    first.click()
    assert first.get_attribute("aria-pressed") == "false"
    assert page.evaluate(drawn) == before - 1
    assert page.evaluate(points) == page.evaluate(wanted)
    page.click("[data-show=none]")
    assert page.evaluate(points) == 0
    page.click("[data-show=all]")
    assert page.evaluate(points) == page.evaluate(wanted)
    bars = "document.querySelectorAll('#plot .errorbar').length"
    assert page.evaluate(bars) > 20
    page.uncheck("#bars")
    assert page.evaluate(bars) == 0


def test_hovering_tells_method_budget_and_interval_as_text(visit):
    page = visit("cell")
    page.select_option("#view", label="Accuracy")
    page.click("[data-show=all]")
    number = page.evaluate("document.getElementById('plot').data.findIndex((t) => t.name.includes('script'))")
    page.evaluate(f"Plotly.Fx.hover('plot', [{{curveNumber: {number}, pointNumber: 0}}])")
    text = page.locator("#plot .hovertext").text_content()
    assert EVIL in text
    assert "budget 0.5" in text
    assert "[" in text
    assert "cost 0." in text


def test_the_score_changes_axis_and_points(visit):
    page = visit("cell")
    titles = {}
    for option in page.locator("#view option").all_text_contents():
        page.select_option("#view", label=option)
        titles[option] = page.locator("#plot .ytitle").text_content()
        assert page.evaluate("document.querySelectorAll('#plot .scatterlayer .point').length") > 3
    assert titles["Accuracy"] == "accuracy on test, %"
    assert titles["Calibration error"].startswith("ECE")
    assert len(set(titles.values())) == len(titles) >= 5


def test_tables_sort_by_number_with_the_unknown_last(visit):
    page = visit("cell#t-leaderboard", plots=False)
    page.click(head("nauc"))
    heading = page.locator('#d-leaderboard th[data-key="nauc"]')
    assert heading.get_attribute("aria-sort") == "descending"
    known = [float(v) for v in values(page, "nauc") if v]
    assert known == sorted(known, reverse=True)
    page.click(head("nauc"))
    assert heading.get_attribute("aria-sort") == "ascending"
    known = [float(v) for v in values(page, "nauc") if v]
    assert known == sorted(known)
    assert len(known) > 5
    page.click(head("gain"))
    assert heading.get_attribute("aria-sort") is None
    page.click(head("own"))
    gains = values(page, "own")
    assert "" in gains
    assert "" not in gains[: len([g for g in gains if g])]


def test_words_sort_by_letters(visit):
    page = visit("cell#t-leaderboard", plots=False)
    page.click(head("method"))
    names = values(page, "method")
    assert names.index("entropy_thresh") < names.index("jeidnn") < names.index("pcee")
    page.click(head("method"))
    assert values(page, "method") == names[::-1]


def test_filters_hide_rows_and_say_how_many_are_left(visit):
    page = visit("cell#t-leaderboard", plots=False)
    everything = values(page, "method")
    box = page.locator("section.grid", has=page.locator("#d-leaderboard"))
    box.locator("input").fill("JEIDNN")
    assert values(page, "method") == [n for n in everything if "jeidnn" in n]
    assert box.locator("output").text_content() == f"2 of {len(everything)} rows"
    box.locator("input").fill("jeidnn paper")
    assert values(page, "method") == ["jeidnn[preset=paper]"]
    page.click(head("nauc"))
    assert values(page, "method") == ["jeidnn[preset=paper]"]
    box.locator("input").fill("")
    assert sorted(values(page, "method")) == sorted(everything)


@pytest.mark.parametrize("name", KINDS)
def test_a_phone_shows_every_page_and_tab_without_scrolling_sideways(visit, name):
    page = visit(name, width=360)
    for tab in [None, *page.get_by_role("tab").all()]:
        if tab is not None:
            tab.click()
        size = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        assert page.evaluate(size) == [360, 360]
        outside = page.evaluate(
            """[...document.querySelectorAll("body *")].filter((e) => e.checkVisibility()
                && !e.closest(".scroll, .hidden, .skip, svg, .tabs")
                && e.getBoundingClientRect().right > 360.5).map((e) => e.outerHTML.slice(0, 80))"""
        )
        assert outside == []
    if name == "cell":
        page.click("#tab-p-leaderboard")
        wide, shown = page.evaluate(
            "(() => { const t = document.querySelector('#d-leaderboard').parentElement;"
            " return [t.scrollWidth, t.clientWidth]; })()"
        )
        assert wide > shown + 50
        page.click("#tab-p-own-gain")
        heights = page.evaluate("[...document.querySelectorAll('.legend button')].map((b) => b.offsetHeight)")
        assert min(heights) >= 30


def test_the_keyboard_reaches_everything_and_sorts(visit):
    page = visit("cell")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    reached = set()
    for _ in range(120):
        page.keyboard.press("Tab")
        where = page.evaluate(
            """(() => { const e = document.activeElement; const s = getComputedStyle(e);
            const name = e.closest(".legend") ? "legend" : e.id || e.dataset.filter || "";
            return [name, s.outlineStyle, parseFloat(s.outlineWidth)]; })()"""
        )
        assert where[1] != "none" and where[2] >= 1, where
        reached.add(where[0])
        if where[0] == "tab-p-own-gain":
            page.keyboard.press("ArrowRight")
            assert page.evaluate("document.activeElement.id") == "tab-p-leaderboard"
            assert page.locator("#d-leaderboard").is_visible() and not page.locator("#plot").is_visible()
            page.keyboard.press("ArrowLeft")
        if where[0] == "legend":
            before = page.evaluate("document.activeElement.ariaPressed")
            page.keyboard.press("Space")
            assert page.evaluate("document.activeElement.ariaPressed") != before
            break
    assert {"ask-budget", "budget", "loss", "family", "basis", "tab-p-own-gain", "view", "bars", "legend"} <= reached
    page.keyboard.press("Shift+Tab")
    page.click("#tab-p-leaderboard")
    page.focus(head("nauc"))
    page.keyboard.press("Enter")
    assert page.locator('#d-leaderboard th[data-key="nauc"]').get_attribute("aria-sort") == "descending"


def luminance(colour: str) -> float:
    """Relative luminance of `rgb(r, g, b)`, after WCAG."""
    parts = [int(float(p)) / 255 for p in colour.partition("(")[2].rstrip(")").split(",")[:3]]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_legible_in_both_schemes(visit, scheme):
    page = visit("cell", color_scheme=scheme)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (luminance(ground) < 0.1) == (scheme == "dark")
    for selector in (
        "body",
        "main a",
        ".small",
        ".interval",
        "th button",
        ".legend button[aria-pressed=false]",
        ".above b, .below b, b",
    ):
        colour = page.evaluate(f"getComputedStyle(document.querySelector({selector!r})).color")
        assert contrast(colour, ground) >= 4.5, selector
    tick = page.evaluate("getComputedStyle(document.querySelector('#plot .xtick text')).fill")
    assert contrast(tick, ground) >= 4.5
    lines = page.evaluate(
        "[...document.querySelectorAll('#plot .scatterlayer .js-line')].map((e) => getComputedStyle(e).stroke)"
    )
    assert lines
    floor = 3.0 if scheme == "dark" else 2.0  # the figures' colours, made for white
    assert min(contrast(line, ground) for line in lines) >= floor


def test_the_theme_is_chosen_by_hand_and_remembered(visit, site):
    page = visit("cell", color_scheme="light")
    ground = "getComputedStyle(document.body).backgroundColor"
    tick = "getComputedStyle(document.querySelector('#plot .xtick text')).fill"
    light, before = page.evaluate(ground), page.evaluate(tick)
    button = page.locator("#theme")
    assert "system" in button.text_content()
    button.click()
    assert page.evaluate(ground) == light
    button.click()
    assert "dark" in button.text_content()
    assert luminance(page.evaluate(ground)) < 0.1
    assert page.evaluate(tick) != before
    page.goto((site / "methods" / "pcee.html").as_uri())
    assert luminance(page.evaluate(ground)) < 0.1
    page.click("#theme")
    assert page.evaluate(ground) == light


def test_a_harmful_name_is_text_wherever_it_stands(visit):
    page = visit("methods/index.html")
    page.get_by_role("link", name=EVIL).click()
    page.wait_for_load_state()
    assert page.locator("h1").text_content() == EVIL
    assert page.evaluate("[...document.scripts].map((s) => s.getAttribute('src'))") == [
        f"../assets/{name}.js" for name in ("site", "methods", "tables")
    ]
    page.go_back()
    board = visit("cell#t-leaderboard", plots=False)
    assert board.locator("#d-leaderboard").get_by_role("link", name=EVIL).count() == 1
    assert board.locator(".legend button", has_text=EVIL).count() == 1
    assert board.evaluate("document.querySelectorAll('script').length") == 8
