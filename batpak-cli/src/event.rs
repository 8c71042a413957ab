//! An event as it is printed.
//!
//! Invariant: a payload that cannot be opened shows the reason, never an empty payload.

use std::io::{self, Write};

use base64::{Engine, engine::general_purpose::STANDARD};
use batpak_store::{Cause, ContentType, Event, EventHash, EventHeader, EventView, Payload};
use serde::Serialize;

use crate::{
    output::{Shown, printable},
    time,
};

/// What `get` and `read` print.
#[derive(Debug, Serialize)]
pub struct EventLine<'a> {
    position: u64,
    revision: u64,
    id: String,
    entity: &'a str,
    scope: &'a str,
    kind: String,
    time: Option<String>,
    time_us: i64,
    content_type: String,
    payload_version: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation: Option<String>,
    causes: Vec<CauseLine>,
    tags: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<BatchLine>,
    payload_bytes: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_id: Option<String>,
    event_hash: String,
    chain_hash: String,
    #[serde(flatten)]
    payload: PayloadLine<'a>,
}

#[derive(Debug, Serialize)]
struct CauseLine {
    id: String,
    external: bool,
}

#[derive(Debug, Serialize)]
struct BatchLine {
    index: u32,
    count: u32,
}

#[derive(Debug, Serialize)]
#[serde(tag = "payload", rename_all = "snake_case")]
enum PayloadLine<'a> {
    #[serde(rename = "open")]
    Text {
        data: &'a str,
    },
    #[serde(rename = "open")]
    Bytes {
        data_base64: String,
    },
    Shredded {
        intent: u64,
    },
    KeyLost,
    Unread,
}

impl<'a> EventLine<'a> {
    /// Shows an event that is its caller's own.
    pub fn of(event: &'a Event) -> Self {
        Self::new(&event.header, event.event_hash(), PayloadLine::of(&event.payload))
    }

    /// Shows an event that is lent, of which `header` is a copy.
    pub fn lent(event: &'a EventView<'_>, header: &'a EventHeader) -> Self {
        Self::new(header, event.event_hash(), PayloadLine::of(event.payload()))
    }

    fn new(header: &'a EventHeader, event_hash: EventHash, payload: PayloadLine<'a>) -> Self {
        Self {
            position: header.position,
            revision: header.revision,
            id: header.id.to_string(),
            entity: header.coordinate.entity(),
            scope: header.coordinate.scope(),
            kind: header.kind.to_string(),
            time: time::rfc3339(header.time),
            time_us: header.time.as_micros(),
            content_type: content_name(header.content_type),
            payload_version: header.payload_version,
            correlation: header.correlation.map(|id| id.to_string()),
            causes: header.causes.iter().map(CauseLine::from).collect(),
            tags: header.tags.iter().collect(),
            batch: header.batch.map(|part| BatchLine { index: part.index, count: part.count }),
            payload_bytes: header.payload_len,
            key_id: header.encryption.map(|encryption| encryption.key_id.to_string()),
            event_hash: event_hash.to_string(),
            chain_hash: header.chain_hash.to_string(),
            payload,
        }
    }
}

impl From<Cause> for CauseLine {
    fn from(cause: Cause) -> Self {
        Self { id: cause.id.to_string(), external: cause.external }
    }
}

impl<'a> PayloadLine<'a> {
    fn of<B: AsRef<[u8]>>(payload: &'a Payload<B>) -> Self {
        match payload {
            Payload::Open(bytes) => match std::str::from_utf8(bytes.as_ref()) {
                Ok(data) => Self::Text { data },
                Err(_) => Self::Bytes { data_base64: STANDARD.encode(bytes) },
            },
            Payload::Shredded(proof) => Self::Shredded { intent: proof.intent },
            Payload::KeyLost(_) => Self::KeyLost,
            // A payload that was not asked for, or that this version cannot show.
            _ => Self::Unread,
        }
    }
}

/// Names a content type; one without a name is its number.
fn content_name(content: ContentType) -> String {
    match content {
        ContentType::UNKNOWN => "unknown".into(),
        ContentType::BYTES => "bytes".into(),
        ContentType::TEXT => "text".into(),
        ContentType::JSON => "json".into(),
        ContentType::MSGPACK => "msgpack".into(),
        ContentType::SYSTEM => "system".into(),
        other => other.as_u16().to_string(),
    }
}

impl Shown for EventLine<'_> {
    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        let time = self.time.clone().unwrap_or_else(|| format!("{} us", self.time_us));
        writeln!(
            out,
            "#{} {time}  {}@{}  kind {}  revision {}",
            self.position, self.entity, self.scope, self.kind, self.revision
        )?;
        writeln!(out, "  id       {}", self.id)?;
        for cause in &self.causes {
            let place = if cause.external { " (external)" } else { "" };
            writeln!(out, "  cause    {}{place}", cause.id)?;
        }
        if !self.tags.is_empty() {
            writeln!(out, "  tags     {}", self.tags.join(", "))?;
        }
        self.payload_human(out)
    }
}

impl EventLine<'_> {
    /// Writes the payload for people.
    fn payload_human(&self, out: &mut dyn Write) -> io::Result<()> {
        match &self.payload {
            PayloadLine::Text { data: "" } => writeln!(out, "  payload  empty"),
            PayloadLine::Text { data } if !data.contains('\n') => writeln!(out, "  payload  {}", printable(data)),
            PayloadLine::Text { data } => {
                writeln!(out, "  payload")?;
                printable(data).lines().try_for_each(|line| writeln!(out, "    {line}"))
            }
            PayloadLine::Bytes { .. } => {
                writeln!(
                    out,
                    "  payload  {} bytes as stored, not UTF-8: --json prints them as base64",
                    self.payload_bytes
                )
            }
            PayloadLine::Shredded { intent } => {
                writeln!(out, "  payload  shredded: its key was destroyed, on the record at position {intent}")
            }
            PayloadLine::KeyLost => {
                writeln!(out, "  payload  KEY LOST: its key is not in the keyset, and no shred of it is on record")
            }
            PayloadLine::Unread => writeln!(out, "  payload  not read"),
        }
    }
}
