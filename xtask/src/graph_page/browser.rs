//! Headless Chromium, driven through its DevTools protocol over a pair of pipes.
//!
//! It is started with a profile of its own, loads files only, and is told to call no one.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::Outcome;

/// The browser reads from descriptor 3 and writes to 4; a shell puts our pipes there.
const REDIRECT: &str = "exec 3<&0 4>&1 </dev/null >/dev/null; exec \"$@\"";

const FLAGS: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
];

/// An answer that takes longer does not come.
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser with one page.
pub(super) struct Browser {
    child: Child,
    orders: ChildStdin,
    messages: Receiver<Value>,
    session: Option<String>,
    orders_given: u64,
    complaints: Vec<String>,
}

impl Browser {
    /// Starts `program` with a new profile and an empty page.
    pub(super) fn start(program: &str, profile: &Path, window: (u32, u32)) -> Outcome<Browser> {
        fs::create_dir_all(profile)?;
        let mut command = Command::new("sh");
        command.args(["-c", REDIRECT, "sh", program]).args(FLAGS);
        command.arg(format!("--user-data-dir={}", profile.display()));
        command.arg(format!("--window-size={},{}", window.0, window.1));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(File::create(profile.join("messages"))?);
        let mut child = command.spawn()?;
        let (Some(orders), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("the pipes of the browser are not there".into());
        };
        let (sender, messages) = channel();
        thread::spawn(move || {
            for message in BufReader::new(answers).split(0) {
                let message = message.ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
                if message.is_none_or(|message: Value| sender.send(message).is_err()) {
                    break;
                }
            }
        });
        let mut browser = Browser { child, orders, messages, session: None, orders_given: 0, complaints: Vec::new() };
        let page = browser.order("Target.createTarget", json!({ "url": "about:blank" }))?;
        let attach = json!({ "targetId": page["targetId"], "flatten": true });
        let session = browser.order("Target.attachToTarget", attach)?;
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            browser.order(domain, json!({}))?;
        }
        browser.resize(window.0, window.1)?;
        Ok(browser)
    }

    /// Runs a script in each page that is opened from now on, before the page's own.
    pub(super) fn before_each_page(&mut self, script: &str) -> Outcome {
        self.order("Page.addScriptToEvaluateOnNewDocument", json!({ "source": script })).map(drop)
    }

    /// Opens a file and waits until it is loaded.
    pub(super) fn open(&mut self, file: &Path) -> Outcome {
        let opened = self.order("Page.navigate", json!({ "url": format!("file://{}", file.display()) }))?;
        if let Some(error) = opened["errorText"].as_str() {
            return Err(format!("{}: {error}", file.display()).into());
        }
        loop {
            if self.message()?["method"] == "Page.loadEventFired" {
                return Ok(());
            }
        }
    }

    /// Returns the value of an expression in the page; of a promise, what it promises.
    pub(super) fn evaluate(&mut self, expression: &str) -> Outcome<Value> {
        let expression = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let mut answer = self.order("Runtime.evaluate", expression)?;
        match answer.get("exceptionDetails") {
            Some(exception) => Err(format!("the page: {exception}").into()),
            None => Ok(answer["result"]["value"].take()),
        }
    }

    /// Types text where the focus is.
    pub(super) fn type_text(&mut self, text: &str) -> Outcome {
        self.order("Input.insertText", json!({ "text": text })).map(drop)
    }

    /// Moves the pointer to a place and clicks.
    pub(super) fn click(&mut self, x: f64, y: f64) -> Outcome {
        for kind in ["mouseMoved", "mousePressed", "mouseReleased"] {
            let button = if kind == "mouseMoved" { "none" } else { "left" };
            let event = json!({ "type": kind, "x": x, "y": y, "button": button, "clickCount": 1 });
            self.order("Input.dispatchMouseEvent", event)?;
        }
        Ok(())
    }

    /// Makes the page as large as this.
    pub(super) fn resize(&mut self, width: u32, height: u32) -> Outcome {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.order("Emulation.setDeviceMetricsOverride", size).map(drop)
    }

    /// Writes what the page shows once it rests into a PNG file.
    pub(super) fn picture(&mut self, file: &Path) -> Outcome {
        self.evaluate("new Promise((done) => setTimeout(() => requestAnimationFrame(() => done(0)), 400))")?;
        let picture = self.order("Page.captureScreenshot", json!({ "format": "png" }))?;
        let data = picture["data"].as_str().ok_or("the browser sent no picture")?;
        Ok(fs::write(file, STANDARD.decode(data)?)?)
    }

    /// Errors that the page or the browser reported.
    pub(super) fn complaints(&self) -> &[String] {
        &self.complaints
    }

    /// Gives an order and waits for its answer.
    fn order(&mut self, method: &str, parameters: Value) -> Outcome<Value> {
        self.orders_given += 1;
        let mut order = json!({ "id": self.orders_given, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            order["sessionId"] = json!(session);
        }
        self.orders.write_all(order.to_string().as_bytes())?;
        self.orders.write_all(&[0])?;
        loop {
            let mut message = self.message()?;
            if message["id"] != self.orders_given {
                continue;
            }
            if let Some(error) = message.get("error") {
                return Err(format!("{method}: {error}").into());
            }
            return Ok(message["result"].take());
        }
    }

    /// The next message of any kind.
    fn message(&mut self) -> Outcome<Value> {
        let message = self.messages.recv_timeout(PATIENCE).map_err(|_| "the browser does not answer")?;
        let entry = &message["params"]["entry"];
        if message["method"] == "Runtime.exceptionThrown" || entry["level"] == "error" {
            self.complaints.push(message["params"].to_string());
        }
        Ok(message)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.session = None;
        // One that does not close by itself is ended.
        if self.order("Browser.close", json!({})).is_err() {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}
