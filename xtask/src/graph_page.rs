//! `cargo xtask graph-page [--require]`: a page of 20,000 events, opened in headless Chromium.
//!
//! The page is written by the command line. Its size, the time to its first picture and the time of a search are held
//! against their limits, and pictures of it are left in the target directory for someone to look at.

mod browser;
mod log;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use serde_json::{Value, json};

use crate::Outcome;
use crate::command;
use crate::graph_oracle::binary;
use crate::workspace;
use browser::Browser;

const EVENTS: usize = 20_000;
const BYTES_MAX: u64 = 10_000_000;
const FIRST_PAINT_MS_MAX: f64 = 2_000.0;
const SEARCH_MS_MAX: f64 = 100.0;

/// Events of the SVG image.
const DRAWN: usize = 300;

const PROGRAMS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];
const WINDOW: (u32, u32) = (1_400, 900);

/// What is searched for: one event, some, all, none, several words.
const SEARCHES: [&str; 6] = ["#19999", "clerk-7", "town", "nothing of the kind", "clerk 1:2 #1", "a"];

/// Two frames after a script ended, what it drew has been shown: notes when that is, after the page is made and after
/// each input.
const FRAMES: &str = "const shown = (then) => requestAnimationFrame(() => requestAnimationFrame(then));\
    addEventListener('DOMContentLoaded', () => shown(() => { window.shownMs = performance.now(); }));\
    addEventListener('input', () => { const begun = performance.now();\
        shown(() => { window.inputMs = performance.now() - begun; }); }, true);";

/// What to do where there is no Chromium.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Absent {
    Skip,
    Fail,
}

/// Makes the page and measures it.
///
/// # Errors
///
/// When a limit is passed, a program cannot be run, or Chromium is needed and not there.
pub(crate) fn run(absent: Absent) -> Outcome {
    let Some(program) = PROGRAMS.into_iter().find(|program| runs(program)) else {
        let how = "Chromium is not installed: `apt-get install chromium` brings it";
        if absent == Absent::Fail {
            return Err(how.into());
        }
        println!("graph-page: SKIPPED, NOTHING WAS MEASURED. {how}");
        return Ok(());
    };
    let workspace = workspace::members()?;
    let batpak = binary(&workspace)?;
    let folder = workspace.target_directory.join("graph-page");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let (page, image) = pages(&batpak, &folder)?;
    let mut limits = Limits::default();
    limits.hold("size of the page, bytes", fs::metadata(&page)?.len() as f64, BYTES_MAX as f64);
    let mut browser = Browser::start(program, &folder.join("profile"), WINDOW)?;
    look_at_page(&mut browser, &page, &folder, &mut limits)?;
    look_at_image(&mut browser, &image, &folder)?;
    drop(browser);
    println!("pictures to look at: {}", folder.display());
    limits.outcome()
}

fn runs(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// Makes a store of the events, and draws all of them as a page and some as an image.
fn pages(batpak: &Path, folder: &Path) -> Outcome<(PathBuf, PathBuf)> {
    let (store, events) = (folder.join("store"), folder.join("events.jsonl"));
    let (page, image) = (folder.join("page.html"), folder.join("image.svg"));
    fs::write(&events, log::lines(EVENTS))?;
    let run = |words: &[&str]| -> Outcome { command::output(command::call(batpak, words.iter().copied())).map(drop) };
    let store = text(&store)?;
    run(&["init", store, "--plaintext"])?;
    run(&["import", "jsonl", store, text(&events)?, "--durability", "deferred"])?;
    let begun = Instant::now();
    run(&["graph", store, "order", "--ids", "--html", text(&page)?])?;
    println!("page of {EVENTS} events written in {:.2} s", begun.elapsed().as_secs_f64());
    let (last, limit) = ((EVENTS - 1).to_string(), DRAWN.to_string());
    run(&["graph", store, "ancestors", &last, "--limit", &limit, "--svg", text(&image)?])?;
    Ok((page, image))
}

fn text(path: &Path) -> Outcome<&str> {
    path.to_str().ok_or_else(|| format!("{}: the path is not UTF-8", path.display()).into())
}

/// Opens the page, waits for its first picture, searches, and uses what else it has.
fn look_at_page(browser: &mut Browser, page: &Path, folder: &Path, limits: &mut Limits) -> Outcome {
    browser.before_each_page(FRAMES)?;
    browser.open(page)?;
    let paint = "new Promise((done) => { const look = () => {\
         const paint = performance.getEntriesByName('first-contentful-paint')[0];\
         if (paint && window.shownMs) done([paint.startTime, window.shownMs, Number(document.body.dataset.drawnMs)]);\
         else setTimeout(look, 5); }; look(); })";
    let times = browser.evaluate(paint)?;
    limits.hold("first paint, ms", number(&times[0])?, FIRST_PAINT_MS_MAX);
    limits.hold("the drawing is shown, ms", number(&times[1])?, FIRST_PAINT_MS_MAX);
    limits.hold("of that the script, ms", number(&times[2])?, FIRST_PAINT_MS_MAX);
    browser.picture(&folder.join("1-opened.png"))?;
    for words in SEARCHES {
        search(browser, words, limits)?;
    }
    search(browser, "clerk-7 1:2", limits)?;
    press(browser, "next")?;
    browser.picture(&folder.join("2-searched.png"))?;
    // The event that the search went to is in the middle.
    let middle = browser.evaluate(
        "(() => { const box = document.getElementById('drawing').getBoundingClientRect();\
         return [box.left + box.width / 2, box.top + box.height / 2]; })()",
    )?;
    browser.click(number(&middle[0])?, number(&middle[1])?)?;
    browser.picture(&folder.join("3-pinned.png"))?;
    press(browser, "unpin")?;
    press(browser, "whole")?;
    browser.picture(&folder.join("4-whole.png"))?;
    browser.evaluate(
        "(() => { const upto = document.getElementById('upto'); upto.value = Number(upto.max) / 2;\
         upto.dispatchEvent(new Event('input')); })()",
    )?;
    browser.picture(&folder.join("5-half.png"))?;
    match browser.complaints() {
        [] => Ok(()),
        complaints => Err(format!("graph-page: the page complained: {}", complaints.join("; ")).into()),
    }
}

/// Types words into the search field, as one input.
fn search(browser: &mut Browser, words: &str, limits: &mut Limits) -> Outcome {
    browser.evaluate(
        "(() => { const field = document.getElementById('search'); field.focus(); field.select();\
         delete window.inputMs; })()",
    )?;
    browser.type_text(words)?;
    let shown = "new Promise((done) => { const look = () => {\
         if (window.inputMs) done([Number(document.body.dataset.searchMs), window.inputMs,\
             document.getElementById('found').value]);\
         else setTimeout(look, 5); }; look(); })";
    let answer = browser.evaluate(shown)?;
    let found = answer[2].as_str().unwrap_or_default();
    limits.hold(&format!("search for {words:?}, {found}, ms"), number(&answer[0])?, SEARCH_MS_MAX);
    limits.hold("the same until it is shown, ms", number(&answer[1])?, SEARCH_MS_MAX);
    Ok(())
}

fn press(browser: &mut Browser, button: &str) -> Outcome {
    browser.evaluate(&format!("document.getElementById({}).click()", json!(button))).map(drop)
}

/// Opens the image as wide and as high as it is, and takes its picture.
fn look_at_image(browser: &mut Browser, image: &Path, folder: &Path) -> Outcome {
    browser.open(image)?;
    browser.picture(&folder.join("6-image-corner.png"))?;
    let size = browser
        .evaluate("[document.documentElement.width.baseVal.value, document.documentElement.height.baseVal.value]")?;
    browser.resize(number(&size[0])?.min(6_000.0) as u32, number(&size[1])?.min(6_000.0) as u32)?;
    browser.picture(&folder.join("7-image.png"))
}

fn number(value: &Value) -> Outcome<f64> {
    value.as_f64().ok_or_else(|| format!("the page answered {value}, which is no number").into())
}

/// What was measured, and what was more than it may be.
#[derive(Default)]
struct Limits {
    passed: Vec<String>,
}

impl Limits {
    fn hold(&mut self, what: &str, measured: f64, max: f64) {
        println!("{measured:>12.1} of {max:>10.0}: {what}");
        if measured.is_nan() || measured > max {
            self.passed.push(format!("{what}: {measured:.1}, at most {max:.0}"));
        }
    }

    fn outcome(self) -> Outcome {
        match self.passed.as_slice() {
            [] => Ok(()),
            passed => Err(format!("graph-page: {}", passed.join("; ")).into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_name_what_is_over_and_what_is_no_number() {
        let mut limits = Limits::default();
        limits.hold("equal", 2.0, 2.0);
        limits.hold("over", 3.0, 2.0);
        limits.hold("absent", f64::NAN, 2.0);
        assert_eq!(
            limits.outcome().unwrap_err().to_string(),
            "graph-page: over: 3.0, at most 2; absent: NaN, at most 2"
        );
    }
}
