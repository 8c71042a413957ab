//! Foreign text made inert for each format.
//!
//! Invariant: what comes out has no character that its format gives a meaning, and none that is invisible,
//! breaks a line or turns the direction of writing: those are shown as `\u{..}`.

use std::fmt::{self, Write};

/// Writes text for between quotes in DOT: quotes, backslashes and HTML entities are spelled out.
pub(super) fn dot(out: &mut dyn Write, text: &str) -> fmt::Result {
    visible(text).try_for_each(|character| match character {
        '"' => out.write_str("\\\""),
        '\\' => out.write_str("\\\\"),
        '&' => out.write_str("&amp;"),
        '<' => out.write_str("&lt;"),
        '>' => out.write_str("&gt;"),
        other => out.write_char(other),
    })
}

/// Writes text for between quotes in Mermaid: all but letters, digits and a few signs as character codes.
pub(super) fn mermaid(out: &mut dyn Write, text: &str) -> fmt::Result {
    visible(text).try_for_each(|character| match character {
        ' ' | '-' | '_' | '.' | ':' | '/' | '@' | ',' => out.write_char(character),
        other if other.is_alphanumeric() => out.write_char(other),
        other => write!(out, "#{};", u32::from(other)),
    })
}

/// Writes text for elements and attributes in XML and HTML.
pub(super) fn xml(out: &mut dyn Write, text: &str) -> fmt::Result {
    visible(text).try_for_each(|character| match character {
        '&' => out.write_str("&amp;"),
        '<' => out.write_str("&lt;"),
        '>' => out.write_str("&gt;"),
        '"' => out.write_str("&quot;"),
        '\'' => out.write_str("&#39;"),
        other => out.write_char(other),
    })
}

/// Writes a JSON string that can stand in a script element: no `<`, `>` or `&` is in it.
///
/// Line breaks and tabs are kept, for payloads; [`json_name`] shows them too.
pub(super) fn json(out: &mut dyn Write, text: &str) -> fmt::Result {
    json_characters(out, shown(text, |character| matches!(character, '\n' | '\r' | '\t')))
}

/// Writes a JSON string as [`json`] does, from the visible form of a name.
pub(super) fn json_name(out: &mut dyn Write, text: &str) -> fmt::Result {
    json_characters(out, visible(text))
}

fn json_characters(out: &mut dyn Write, mut text: impl Iterator<Item = char>) -> fmt::Result {
    out.write_char('"')?;
    text.try_for_each(|character| match character {
        '"' => out.write_str("\\\""),
        '\\' => out.write_str("\\\\"),
        '<' | '>' | '&' => write!(out, "\\u{:04x}", u32::from(character)),
        control if control.is_control() => write!(out, "\\u{:04x}", u32::from(control)),
        other => out.write_char(other),
    })?;
    out.write_char('"')
}

fn visible(text: &str) -> impl Iterator<Item = char> {
    shown(text, |_| false)
}

/// The characters of `text`, those that are not visible and not kept as `\u{..}`.
fn shown(text: &str, keep: fn(char) -> bool) -> impl Iterator<Item = char> {
    text.chars().flat_map(move |character| {
        let (plain, escaped) = match is_visible(character) || keep(character) {
            true => (Some(character), None),
            false => (None, Some(character.escape_unicode())),
        };
        plain.into_iter().chain(escaped.into_iter().flatten())
    })
}

fn is_visible(character: char) -> bool {
    let is_format = matches!(
        character,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    );
    let is_noncharacter = u32::from(character) & 0xfffe == 0xfffe || matches!(character, '\u{fdd0}'..='\u{fdef}');
    !character.is_control() && !is_format && !is_noncharacter
}

#[cfg(test)]
mod tests {
    use std::fmt::{self, Write};

    use super::{dot, json, json_name, mermaid, xml};

    type Writer = fn(&mut dyn Write, &str) -> fmt::Result;

    fn written(writer: Writer, text: &str) -> String {
        let mut out = String::new();
        writer(&mut out, text).unwrap();
        out
    }

    #[test]
    fn text_is_inert_in_each_format() {
        let hostile = "</script><b a='\"&#1;\n\\\u{202e}";
        assert_eq!(written(dot, hostile), "&lt;/script&gt;&lt;b a='\\\"&amp;#1;\\\\u{a}\\\\\\\\u{202e}");
        assert_eq!(written(xml, hostile), "&lt;/script&gt;&lt;b a=&#39;&quot;&amp;#1;\\u{a}\\\\u{202e}");
        assert_eq!(written(json_name, hostile), r#""\u003c/script\u003e\u003cb a='\"\u0026#1;\\u{a}\\\\u{202e}""#);
        let mermaid = written(mermaid, hostile);
        assert!(!mermaid.contains(['<', '>', '"', '\'', '&', '\n', '\\', '\u{202e}']), "{mermaid}");
        assert!(mermaid.starts_with("#60;/script#62;#60;b a#61;"));
    }

    #[test]
    fn json_keeps_lines_and_stays_in_its_element() {
        assert_eq!(written(json, "a\nb\u{2028}</script>"), r#""a\u000ab\\u{2028}\u003c/script\u003e""#);
    }

    #[test]
    fn letters_of_all_scripts_stay() {
        for writer in [dot as Writer, mermaid, xml] {
            assert_eq!(written(writer, "Größe 東京 no-1"), "Größe 東京 no-1");
        }
    }
}
