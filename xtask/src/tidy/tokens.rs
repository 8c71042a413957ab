//! Rust sources as flat tokens with line numbers.
//!
//! Comments and the insides of strings are never seen as code.

use proc_macro2::{Delimiter, LexError, Spacing, TokenStream, TokenTree};

/// One token: an identifier, a literal, one punctuation character, `::`, or one delimiter.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) text: String,
    /// Counted from 1.
    pub(crate) line: usize,
}

/// Returns the tokens of a source file.
///
/// # Errors
///
/// When the text is not Rust by its tokens.
pub(crate) fn tokens(source: &str) -> Result<Vec<Token>, LexError> {
    let mut out = Vec::new();
    flatten(source.parse()?, &mut out);
    Ok(out)
}

fn flatten(stream: TokenStream, out: &mut Vec<Token>) {
    let mut colon_waits = false;
    for tree in stream {
        let line = tree.span().start().line;
        let second_colon = colon_waits;
        colon_waits = false;
        let text = match tree {
            TokenTree::Group(group) => {
                let end = group.span_close().start().line;
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::None => ("", ""),
                };
                push(out, open.to_owned(), line);
                flatten(group.stream(), out);
                push(out, close.to_owned(), end);
                continue;
            }
            TokenTree::Punct(punct) if punct.as_char() == ':' && second_colon => {
                out.pop();
                "::".to_owned()
            }
            TokenTree::Punct(punct) => {
                colon_waits = punct.as_char() == ':' && punct.spacing() == Spacing::Joint;
                punct.as_char().to_string()
            }
            TokenTree::Ident(ident) => ident.to_string(),
            TokenTree::Literal(literal) => literal.to_string(),
        };
        push(out, text, line);
    }
}

fn push(out: &mut Vec<Token>, text: String, line: usize) {
    out.push(Token { text, line });
}

/// Whether these texts stand at `at`.
pub(super) fn is(tokens: &[Token], at: usize, texts: &[&str]) -> bool {
    tokens.len() >= at + texts.len() && tokens[at..].iter().zip(texts).all(|(a, b)| a.text == *b)
}

/// Returns the index of the delimiter that closes the one at `open`, or the last index.
pub(super) fn close(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_i32;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "(" | "{" | "[" => depth += 1,
            ")" | "}" | "]" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return index;
        }
    }
    tokens.len() - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_carry_their_line_and_leave_out_comments() {
        let tokens = tokens("// a\nb::c\n  { \"d\" /* e */\n}").unwrap();
        let shown: Vec<String> = tokens.iter().map(|token| format!("{}:{}", token.line, token.text)).collect();
        assert_eq!(shown, ["2:b", "2:::", "2:c", "3:{", "3:\"d\"", "4:}"]);
    }

    #[test]
    fn close_finds_the_delimiter_of_the_same_depth() {
        let tokens = tokens("( [ { } ] ) { }").unwrap();
        assert_eq!(close(&tokens, 0), 5);
        assert_eq!(close(&tokens, 1), 4);
    }
}
