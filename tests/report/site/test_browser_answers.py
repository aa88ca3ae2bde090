"""What a setting's page answers, in a real browser: plots, sliders, filters and tabs."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.browser


def test_plots_download_and_pictures_follow_the_theme(visit):
    page = visit("cell", color_scheme="dark")
    assert (
        page.evaluate("Plotly.toImage('plot', {format: 'png', width: 300, height: 200}).then((d) => d.slice(0, 15))")
        == "data:image/png;"
    )
    page.click("#tab-p-figures")
    picture = page.locator("figure img")
    picture.scroll_into_view_if_needed()
    shown = "const i = document.querySelector('figure img'); await i.decode(); return i.naturalWidth;"
    assert page.evaluate(f"async () => {{ {shown} }}") > 0
    worn = "getComputedStyle(document.querySelector('figure img')).filter"
    assert "invert" in page.evaluate(worn)
    page.click("#theme")
    assert page.evaluate(worn) == "none"
    page.click("#theme")
    assert "invert" in page.evaluate(worn)


def test_the_plot_has_no_share_button_and_its_titles_lie_within_its_frame(visit):
    page = visit("cell")
    page.hover("#plot")
    buttons = page.evaluate("[...document.querySelectorAll('#plot .modebar-btn')].map((b) => b.dataset.title)")
    assert len(buttons) == 4 and not [text for text in buttons if "hare" in text or "loud" in text]
    outside = """[...document.querySelectorAll("#plot .xtitle, #plot .ytitle")].filter((e) => {
        const [a, b] = [e.getBoundingClientRect(), document.getElementById("plot").getBoundingClientRect()];
        return a.left < b.left + 2 || a.top < b.top + 2 || a.right > b.right - 2 || a.bottom > b.bottom - 2;
    }).map((e) => e.textContent)"""
    for width in (1280, 375):
        page.set_viewport_size({"width": width, "height": 800})
        for option in page.locator("#view option").all_text_contents():
            page.select_option("#view", label=option)
            assert page.evaluate(outside) == [], (width, option)


def test_every_tick_of_a_logarithmic_axis_says_its_value(visit):
    page = visit("cell")
    page.select_option("#view", label="Conformal set size")
    page.click("[data-show=all]")
    for script in ("0", "Plotly.relayout('plot', {'yaxis.range[0]': 0.301, 'yaxis.range[1]': 0.602})"):
        page.evaluate(script)
        page.wait_for_timeout(300)
        layout = page.evaluate("(({range, tickvals, ticktext}) => ({range, tickvals, ticktext}))"
                               "(document.getElementById('plot').layout.yaxis)")  # fmt: skip
        low, high = (10**end for end in layout["range"])
        assert [float(text) for text in layout["ticktext"]] == layout["tickvals"]
        assert len([v for v in layout["tickvals"] if low <= v <= high]) >= 3
        shown = page.locator("#plot .ytick text").all_text_contents()
        assert set(shown) <= set(layout["ticktext"]) and len(shown) >= 3


@pytest.mark.parametrize(("name", "width"), [("index.html", 375), ("cell", 1280)])
def test_the_sliders_answer_with_method_cost_trust_mix_and_command(visit, site, name, width):
    page = visit(name, width=width, plots=False)
    data = json.loads(page.locator("#finder-data").text_content())
    held = next(one for one in data if "resnet18" in one["folder"])
    box = page.locator(f'.answer[data-setting="{held["folder"]}"]')
    first = page.locator(".answer .say").first.bounding_box()
    assert first["y"] + first["height"] < 800 and page.evaluate("scrollY") == 0  # without scrolling
    for share in (30, 70):
        page.locator("#budget").fill(str(share))
        at = max(i for i, b in enumerate(held["budgets"]) if 100 * b <= share)
        known = [m for m in held["methods"] if m["at"][at] and m["complete"]]
        best = max(known, key=lambda m: m["at"][at]["accuracy"][0])
        text = " ".join(box.text_content().split())
        assert box.locator(".say strong").text_content() == best["name"]
        assert f"{best['at'][at]['accuracy'][0]:.1f} %" in text and f"{best['at'][at]['ece']:.1f} %" in text
        assert f"{best['at'][at]['cost']:.1f} %" in text and "of the samples at" in text
        commands = box.locator("pre").all_text_contents()
        assert [c.split()[1] for c in commands] == ["run", "export"]
        assert all(best["name"] in c and str(held["budgets"][at]) in c for c in commands)
    page.locator("#loss").fill("3")
    assert page.locator("#ask-loss").is_checked()
    known = [m for m in held["methods"] if m["iso"][3] and m["complete"]]
    best = min(known, key=lambda m: m["iso"][3]["cost"][0])
    assert box.locator(".say strong").text_content() == best["name"]
    assert f"{best['iso'][3]['cost'][0]:.1f} %" in " ".join(box.locator(".facts").text_content().split())
    page.locator("#budget").fill("1")
    assert "The smallest measured budget is" in box.text_content()
    page.reload()
    assert page.locator("#budget-text").text_content() == "1 % of MACs"


def test_filters_by_family_fidelity_and_modality_choose_methods_everywhere(visit):
    page = visit("cell")
    page.locator("#filters").evaluate("(e) => { e.open = true; }")
    page.select_option("[data-filter=family]", label="joint")
    assert page.locator("#filtered").text_content() == "2 of 7 methods"
    shown = page.locator(".legend button[data-method]:not(.filtered)").all_text_contents()
    assert {text.strip() for text in shown} == {"jeidnn", "jeidnn[preset=paper]"}
    assert page.locator(".answer .say strong").text_content() in {"jeidnn", "jeidnn[preset=paper]"}
    drawn = page.evaluate("document.getElementById('plot').data.filter((t) => t.visible).map((t) => t.name)")
    assert {n for n in drawn if "static" not in n} <= {"jeidnn", "jeidnn[preset=paper]"}
    page.click("#tab-p-leaderboard")
    assert page.locator("#d-leaderboard tbody tr[data-method='pcee']").is_hidden()
    page = visit("index.html")
    assert page.locator("#p-answers .card:visible").count() == 2
    page.locator("#filters").evaluate("(e) => { e.open = true; }")
    page.select_option("[data-filter=modality]", label="text")
    assert page.locator("#p-answers .card:visible").count() == 0


def test_a_link_into_a_tab_opens_it_and_the_page_stays_short(visit):
    page = visit("cell#t-leaderboard", plots=False)
    assert page.locator("#d-leaderboard").is_visible()
    assert page.get_by_role("tab", selected=True).text_content() == "Leaderboard"
    page = visit("cell")
    assert page.evaluate("document.documentElement.scrollHeight") < 3000


def test_a_method_page_copies_the_command_that_writes_the_policy_of_a_budget(visit):
    page = visit("methods/pcee.html", width=375)
    command = page.locator("pre.command").first
    assert " 0.5 --backbone" in command.text_content()
    page.get_by_role("combobox").first.select_option("0.7")
    assert " 0.7 --backbone" in command.text_content()
    page.get_by_role("button", name="Copy").first.click()
    assert page.evaluate("getSelection().toString()").strip() == command.text_content()
