//! The paths that a source file names, imports in braces written out.

use crate::tidy::tokens::{Token, is};

/// A path as it stands in the source, imports in braces written out.
#[derive(Debug)]
pub(crate) struct Path {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
}

impl Path {
    /// Whether the path begins with these segments.
    pub(crate) fn begins(&self, segments: &[&str]) -> bool {
        self.segments.len() >= segments.len() && self.segments.iter().zip(segments).all(|(a, b)| a == b)
    }

    /// Returns the path as it is written.
    pub(crate) fn shown(&self) -> String {
        self.segments.join("::")
    }
}

/// Returns every path of the tokens, in order; an identifier alone is a path of one segment.
pub(crate) fn paths(tokens: &[Token]) -> Vec<Path> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if is(tokens, at, &["use"]) && !is(tokens, at + 1, &["<"]) {
            at = imports(tokens, at + 1, &[], &mut out);
        } else if is_ident(&tokens[at].text) {
            let line = tokens[at].line;
            let mut segments = vec![tokens[at].text.clone()];
            while is(tokens, at + 1, &["::"]) && tokens.get(at + 2).is_some_and(|it| is_ident(&it.text)) {
                segments.push(tokens[at + 2].text.clone());
                at += 2;
            }
            out.push(Path { segments, line });
            at += 1;
        } else {
            at += 1;
        }
    }
    out
}

fn is_ident(text: &str) -> bool {
    text.starts_with(|first: char| first == '_' || first.is_alphabetic())
}

/// Writes out the import tree that begins at `at`; returns the index of what ends it.
fn imports(tokens: &[Token], mut at: usize, prefix: &[String], out: &mut Vec<Path>) -> usize {
    let mut segments = prefix.to_vec();
    while let Some(token) = tokens.get(at) {
        match token.text.as_str() {
            "{" => {
                at += 1;
                while at < tokens.len() && !is(tokens, at, &["}"]) {
                    at = imports(tokens, at, &segments, out);
                    if is(tokens, at, &[","]) {
                        at += 1;
                    }
                }
                return at + 1;
            }
            "," | "}" | ";" => {
                let line = tokens[at.saturating_sub(1)].line;
                if !segments.is_empty() {
                    out.push(Path { segments, line });
                }
                return at;
            }
            "as" => at += 1,
            "self" if !segments.is_empty() => {}
            "*" => segments.push("*".to_owned()),
            text if is_ident(text) => segments.push(text.to_owned()),
            _ => {}
        }
        at += 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tokens::tokens;

    fn shown(source: &str) -> Vec<String> {
        let tokens = tokens(source).unwrap();
        paths(&tokens).iter().map(Path::shown).collect()
    }

    #[test]
    fn paths_write_out_imports_in_braces() {
        assert_eq!(
            shown("use std::{fs::{self, File}, sync::Arc as A, io::*};"),
            ["std::fs", "std::fs::File", "std::sync::Arc", "std::io::*"]
        );
    }

    #[test]
    fn paths_see_code_inside_macros_and_not_inside_comments_or_strings() {
        assert_eq!(shown("//! std::fs\n/* std::fs */ x!(\"std::fs\", ::std::fs::read)"), ["doc", "x", "std::fs::read"]);
    }

    #[test]
    fn paths_carry_their_line() {
        let tokens = tokens("use a;\nuse std::{\n  fs,\n};\nb::c").unwrap();
        let lines: Vec<usize> = paths(&tokens).iter().map(|it| it.line).collect();
        assert_eq!(lines, [1, 3, 5]);
    }
}
