//! One line of a JSON lines import, and the event it describes.
//!
//! Invariant: a line that became a [`Draft`] is one that the store takes, unless its id or its causes say otherwise.

use base64::{Engine, engine::general_purpose::STANDARD};
use batpak_store::{
    Cause, Causes, ContentType, Coordinate, EventId, EventKind, NewEvent, Tags, Timestamp,
    format::{CausesError, CoordinateError, KindError, TagsError},
};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::{error::Exit, time};

/// Why a line is no event.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// It is no JSON, or not the object that it should be.
    #[error("{}", json_fault(.0))]
    Json(#[from] serde_json::Error),
    /// It is longer than any payload of this store can make it.
    #[error("the line has more than {bytes_max} bytes, more than any payload of this store needs")]
    TooLong { bytes_max: u64 },
    /// Entity or scope is not valid.
    #[error(transparent)]
    Coordinate(#[from] CoordinateError),
    /// The entity is the store's own.
    #[error("the entity belongs to the store's own events")]
    ReservedEntity,
    /// The kind cannot be read.
    #[error(transparent)]
    Kind(#[from] KindError),
    /// The kind is the store's own.
    #[error("kind {kind} is in a reserved category: use categories 1 to 12, 14 or 15")]
    ReservedKind { kind: EventKind },
    /// The key is empty.
    #[error("the key is empty: leave it out for an event without one")]
    EmptyKey,
    /// The causes are not valid.
    #[error(transparent)]
    Causes(#[from] CausesError),
    /// The tags are not valid.
    #[error(transparent)]
    Tags(#[from] TagsError),
    /// The time cannot be read.
    #[error(transparent)]
    Time(#[from] time::NoTime),
    /// There is no payload, or there are two.
    #[error("give exactly one of payload and payload_base64")]
    OnePayload,
    /// The payload is no base64.
    #[error("payload_base64 is not base64 with padding (RFC 4648)")]
    Base64,
    /// The payload is larger than the store takes.
    #[error("the payload has {bytes} bytes, the store takes at most {bytes_max}")]
    PayloadTooLarge { bytes: usize, bytes_max: u32 },
    /// Two lines of one chunk have one key and other content.
    #[error("the key stands in line {first} with other content")]
    KeyRepeated { first: u64 },
    /// The key is in the store with other content.
    #[error("the key {key:?} is in the store already with other content")]
    Conflict { key: String },
    /// A cause is neither in the store nor on an earlier line.
    #[error("the cause {key:?} is neither in the store nor on an earlier line")]
    UnknownCause { key: String },
}

impl LineError {
    /// Returns the exit code: a conflict and an unknown cause are answers of the store, the rest is wrong input.
    pub const fn exit(&self) -> Exit {
        match self {
            Self::KeyRepeated { .. } | Self::Conflict { .. } | Self::UnknownCause { .. } => Exit::No,
            _ => Exit::Usage,
        }
    }
}

/// Says what is wrong and in which column; the line that the parser counts is always the first.
fn json_fault(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    format!("{} (column {})", text.strip_suffix(&place).unwrap_or(&text), error.column())
}

/// A line as it stands in the input.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    entity: String,
    scope: String,
    kind: TextOrNumber,
    key: Option<String>,
    #[serde(default)]
    causes: Vec<String>,
    #[serde(default)]
    tags: Vec<String>,
    time: Option<TextOrNumber>,
    #[serde(default, deserialize_with = "present")]
    payload: Option<Box<RawValue>>,
    payload_base64: Option<String>,
}

/// A field that may be text or a whole number.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected text or a whole number")]
enum TextOrNumber {
    Number(i64),
    Text(String),
}

/// Takes a value that is there, `null` too.
fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(from).map(Some)
}

/// The event that a line describes.
#[derive(Debug, PartialEq, Eq)]
pub struct Draft {
    coordinate: Coordinate,
    kind: EventKind,
    /// The key, when the line has one.
    pub key: Option<String>,
    /// The keys of the causes.
    pub causes: Vec<String>,
    tags: Vec<String>,
    time: Option<Timestamp>,
    payload: Vec<u8>,
    content: ContentType,
}

impl Draft {
    /// Reads a line.
    ///
    /// # Errors
    /// [`LineError`], every variant but the three that need the store or other lines.
    pub fn parse(text: &[u8], payload_bytes_max: u32) -> Result<Self, LineError> {
        let line: Line = serde_json::from_slice(text)?;
        let coordinate = Coordinate::new(&line.entity, &line.scope)?;
        if coordinate.is_system() {
            return Err(LineError::ReservedEntity);
        }
        if line.key.as_deref() == Some("") {
            return Err(LineError::EmptyKey);
        }
        let causes = line.causes.iter().map(|key| Cause { id: id_of(key), external: false });
        Causes::new(causes.collect())?;
        Tags::new(&line.tags)?;
        let (payload, content) = payload(line.payload.as_deref(), line.payload_base64.as_deref())?;
        if payload.len() as u64 > u64::from(payload_bytes_max) {
            return Err(LineError::PayloadTooLarge { bytes: payload.len(), bytes_max: payload_bytes_max });
        }
        Ok(Self {
            coordinate,
            kind: kind(&line.kind)?,
            key: line.key,
            causes: line.causes,
            tags: line.tags,
            time: line.time.as_ref().map(moment).transpose()?,
            payload,
            content,
        })
    }

    /// Returns the id that the key makes, when there is a key.
    pub fn id(&self) -> Option<EventId> {
        self.key.as_deref().map(id_of)
    }

    /// Returns the event to append.
    pub fn event(&self) -> NewEvent<'_> {
        let mut event = NewEvent::new(self.coordinate.clone(), self.kind, &self.payload).content_type(self.content);
        if let Some(key) = &self.key {
            event = event.key(key.as_bytes());
        }
        if let Some(time) = self.time {
            event = event.time(time);
        }
        for key in &self.causes {
            event = event.cause(id_of(key));
        }
        for tag in &self.tags {
            event = event.tag(tag);
        }
        event
    }

    /// Returns about how many bytes the frame has, never fewer.
    pub fn frame_bytes(&self) -> u64 {
        let names = self.coordinate.entity().len() + self.coordinate.scope().len();
        let tags: usize = self.tags.iter().map(|tag| tag.len() + 1).sum();
        (self.payload.len() + names + tags + 17 * self.causes.len() + 256) as u64
    }
}

/// Returns the id that a key makes.
pub fn id_of(key: &str) -> EventId {
    EventId::from_key(key.as_bytes())
}

fn kind(field: &TextOrNumber) -> Result<EventKind, LineError> {
    let kind = match field {
        TextOrNumber::Text(text) => text.parse()?,
        TextOrNumber::Number(number) => EventKind::from_u16(u16::try_from(*number).map_err(|_| KindError::Malformed)?),
    };
    if kind.is_reserved() {
        return Err(LineError::ReservedKind { kind });
    }
    Ok(kind)
}

fn moment(field: &TextOrNumber) -> Result<Timestamp, LineError> {
    match field {
        TextOrNumber::Text(text) => Ok(time::parse(text)?),
        TextOrNumber::Number(micros) => Ok(Timestamp::from_micros(*micros)),
    }
}

/// Returns the payload's bytes and what they are.
fn payload(value: Option<&RawValue>, base64: Option<&str>) -> Result<(Vec<u8>, ContentType), LineError> {
    match (value, base64) {
        (Some(value), None) if value.get().starts_with('"') => {
            let text: String = serde_json::from_str(value.get())?;
            Ok((text.into_bytes(), ContentType::TEXT))
        }
        (Some(value), None) => Ok((compact(value.get()), ContentType::JSON)),
        (None, Some(text)) => Ok((STANDARD.decode(text).map_err(|_| LineError::Base64)?, ContentType::BYTES)),
        _ => Err(LineError::OnePayload),
    }
}

/// Drops the white space between the tokens of valid JSON: numbers, names and their order stay as they were written.
fn compact(json: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len());
    let (mut quoted, mut escaped) = (false, false);
    for byte in json.bytes() {
        if quoted {
            quoted = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
        } else if byte.is_ascii_whitespace() {
            continue;
        } else {
            quoted = byte == b'"';
        }
        out.push(byte);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = r#""entity":"e","scope":"s","kind":"1:2""#;

    fn draft(rest: &str) -> Result<Draft, LineError> {
        Draft::parse(format!("{{{HEAD}{rest}}}").as_bytes(), 10)
    }

    #[test]
    fn compact_keeps_strings_and_numbers() {
        assert_eq!(
            compact("{ \"b \\\" c\" : [1.50 ,\n\t2e400], \"a\":\"\\\\\" }"),
            br#"{"b \" c":[1.50,2e400],"a":"\\"}"#
        );
    }

    #[test]
    fn payload_null_is_json_and_text_is_its_bytes() {
        let null = draft(r#","payload":null"#).unwrap();
        assert_eq!((null.payload.as_slice(), null.content), (&b"null"[..], ContentType::JSON));
        let text = draft(r#","payload":"a\u00e9""#).unwrap();
        assert_eq!((text.payload.as_slice(), text.content), ("a\u{e9}".as_bytes(), ContentType::TEXT));
    }

    #[test]
    fn parse_names_what_is_wrong() {
        assert!(matches!(draft(""), Err(LineError::OnePayload)));
        assert!(matches!(draft(r#","payload":1,"payload_base64":"""#), Err(LineError::OnePayload)));
        assert!(matches!(draft(r#","payload_base64":"!""#), Err(LineError::Base64)));
        assert!(matches!(draft(r#","payload":1,"colour":1"#), Err(LineError::Json(_))));
        assert!(matches!(draft(r#","payload":1,"payload":1"#), Err(LineError::Json(_))));
        assert!(matches!(
            draft(r#","payload":"12345678901""#),
            Err(LineError::PayloadTooLarge { bytes: 11, bytes_max: 10 })
        ));
        assert!(matches!(draft(r#","payload":1,"time":"noon""#), Err(LineError::Time(_))));
        assert!(matches!(
            draft(r#","payload":1,"causes":["a","a"]"#),
            Err(LineError::Causes(CausesError::Duplicate { .. }))
        ));
        assert!(matches!(draft(r#","payload":1,"tags":[""]"#), Err(LineError::Tags(TagsError::Empty))));
        assert!(matches!(draft(r#","payload":1,"key":"""#), Err(LineError::EmptyKey)));
    }

    #[test]
    fn kind_may_be_a_number() {
        assert_eq!(kind(&TextOrNumber::Number(0x1002)).unwrap(), EventKind::new(1, 2).unwrap());
        assert!(matches!(kind(&TextOrNumber::Number(70_000)), Err(LineError::Kind(KindError::Malformed))));
        assert!(matches!(kind(&TextOrNumber::Text("13:1".into())), Err(LineError::ReservedKind { .. })));
    }
}
