//! The report in a real browser: nothing sticks out, nothing fails, everyone can use it.
//!
//! Needs Chromium; where there is none, each test says that it was skipped.

mod synthetic;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use std::{env, io::Read as _, thread};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use plots::{pictures, report_html};
use serde::Deserialize;
use synthetic::varied::varied_run;
use tempfile::TempDir;

const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

/// A browser that takes longer than this to show a page hangs.
const BROWSER_TIME_MAX: Duration = Duration::from_secs(120);

/// What `probe.js` found.
#[derive(Debug, Deserialize)]
struct Findings {
    width: f64,
    scroll_width: f64,
    overflowing: Vec<String>,
    levels: Vec<u8>,
    landmarks: [u32; 3],
    tables_without_caption: Vec<String>,
    heads_without_scope: Vec<String>,
    boxes_without_name_or_focus: Vec<String>,
    pictures_without_words: Vec<String>,
    repeated_ids: Vec<String>,
    first_stop: String,
    presses: Vec<Press>,
    errors: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Press {
    background: String,
    paper: String,
    pressed: String,
}

fn browser() -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let dirs: Vec<PathBuf> = env::split_paths(&path).collect();
    let places = BROWSERS.iter().flat_map(|name| dirs.iter().map(move |dir| dir.join(name)));
    places.into_iter().find(|place| place.is_file())
}

/// The browser, or a word that there is none.
#[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
fn browser_or_skip(test: &str) -> Option<PathBuf> {
    let found = browser();
    if found.is_none() {
        eprintln!("SKIPPED {test}: expected one of {BROWSERS:?} in PATH, found none; install one");
    }
    found
}

/// Opens a page and returns its document as it is once loaded, and what the console said.
fn opened(browser: &Path, page: &Path) -> (String, String) {
    let profile = TempDir::new().expect("a temporary directory");
    let console = profile.path().join("console");
    let mut child = Command::new(browser)
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"])
        .args(["--disable-dev-shm-usage", "--no-first-run", "--enable-logging=stderr"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg("--window-size=1500,1100")
        .arg("--dump-dom")
        .arg(format!("file://{}", page.display()))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(File::create(&console).expect("a fresh file"))
        .spawn()
        .expect("the browser that was found");
    let mut output = child.stdout.take().expect("its output is piped");
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut document = String::new();
        let read = output.read_to_string(&mut document);
        sender.send(read.map(|_| document))
    });
    let document = receiver.recv_timeout(BROWSER_TIME_MAX);
    if document.is_err() {
        child.kill().expect("a child that still runs");
    }
    child.wait().expect("the browser");
    let document = document.unwrap_or_else(|_| panic!("no page within {BROWSER_TIME_MAX:?}"));
    (document.expect("a document in UTF-8"), fs::read_to_string(&console).unwrap_or_default())
}

/// The report of a run with everything in it.
fn report() -> String {
    let (record, histograms) = varied_run();
    report_html(&record, &histograms, &pictures(&record, &histograms), None)
}

/// Opens a report in a frame so wide. What the console says counts as an error, too.
fn findings(browser: &Path, html: &str, width_px: u32) -> Findings {
    let probe = format!("<head>\n<script>{}</script>", include_str!("browser/probe.js"));
    let html = html.replacen("<head>", &probe, 1).replace('&', "&amp;").replace('"', "&quot;");
    // A window cannot be as narrow as a telephone; a frame can.
    let frame = include_str!("browser/frame.html").replace("WIDTH", &width_px.to_string());
    let dir = TempDir::new().expect("a temporary directory");
    let page = dir.path().join("frame.html");
    fs::write(&page, frame.replace("REPORT", &html)).expect("a fresh file");
    let (document, console) = opened(browser, &page);
    // The frame's own document comes before, as an attribute.
    let (_, after) = document.rsplit_once("<pre id=\"probe\">").expect("the probe ran");
    let encoded = after.split('<').next().unwrap_or_default();
    let json = BASE64.decode(encoded).expect("the probe's base64");
    let mut found: Findings = serde_json::from_slice(&json).expect("what the probe wrote");
    let complaints = console.lines().filter(|line| line.contains("CONSOLE"));
    found.errors.extend(complaints.map(str::to_owned));
    found
}

fn check_at(test: &str, width_px: u32) {
    let Some(browser) = browser_or_skip(test) else { return };
    let found = findings(&browser, &report(), width_px);
    assert_eq!(found.errors, Vec::<String>::new());
    assert_eq!(found.width, f64::from(width_px));
    assert!(found.scroll_width <= found.width, "{} in {}", found.scroll_width, found.width);
    assert_eq!(found.overflowing, Vec::<String>::new(), "of a window of {}", found.width);
    assert_eq!(found.landmarks, [1, 1, 1], "header, nav, main");
    assert_eq!(found.levels.first(), Some(&1));
    for pair in found.levels.windows(2) {
        assert!(pair[1] <= pair[0] + 1, "a heading of level {} after {}", pair[1], pair[0]);
    }
    for nothing in [
        found.tables_without_caption,
        found.heads_without_scope,
        found.boxes_without_name_or_focus,
        found.pictures_without_words,
        found.repeated_ids,
    ] {
        assert_eq!(nothing, Vec::<String>::new());
    }
    assert_eq!(found.first_stop, "Skip to the verdict");
    check_button(&found.presses);
}

#[test]
fn a_report_with_faults_would_be_found_out() {
    let Some(browser) = browser_or_skip("a_report_with_faults_would_be_found_out") else { return };
    let faults = "<main><h6>six</h6><img src=\"https://example.invalid/a.png\"><p id=\"verdict\" \
                  style=\"width: 3000px; max-width: none\">wide</p><table><tr><th>bare</table>";
    let found = findings(&browser, &report().replacen("<main>", faults, 1), 1400);
    assert!(found.scroll_width > found.width, "{found:?}");
    assert!(found.overflowing.iter().any(|it| it.contains("wide")), "{found:?}");
    assert!(found.errors.iter().any(|it| it.contains("example.invalid")), "{found:?}");
    assert_eq!(found.levels[..2], [1, 6]);
    assert_eq!(found.repeated_ids, ["verdict"]);
    assert_eq!((found.tables_without_caption.len(), found.heads_without_scope.len()), (1, 1));
}

/// Each press makes the page, and the pictures with it, dark or light, and says which.
fn check_button(presses: &[Press]) {
    assert_eq!(presses.len(), 3);
    for pair in presses.windows(2) {
        assert_ne!(pair[0].pressed, pair[1].pressed);
        assert_ne!(pair[0].background, pair[1].background);
    }
    for press in presses {
        assert_eq!(press.background, press.paper, "page and pictures are on one paper");
    }
}

#[test]
fn the_report_can_be_used_on_a_wide_screen() {
    check_at("the_report_can_be_used_on_a_wide_screen", 1400);
}

#[test]
fn the_report_can_be_used_on_a_narrow_screen() {
    check_at("the_report_can_be_used_on_a_narrow_screen", 420);
}
