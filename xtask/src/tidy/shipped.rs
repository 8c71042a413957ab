//! What of a source file ships: all of it but what only tests compile.

use crate::tidy::tokens::{Token, close, is};

/// What of a source file ships: its tokens without test code, and the names of the modules in
/// files of their own that only tests compile.
#[derive(Debug, Default)]
pub(crate) struct Shipped {
    pub(crate) tokens: Vec<Token>,
    pub(crate) test_modules: Vec<String>,
}

/// Leaves out every item under `#[cfg(test)]`, `#[cfg(all(test, ..))]` or `#[test]`.
pub(crate) fn shipped(tokens: &[Token]) -> Shipped {
    let mut shipped = Shipped::default();
    let mut at = 0;
    while at < tokens.len() {
        if is(tokens, at, &["#", "!", "["]) && is_test(&tokens[at + 3..close(tokens, at + 2)]) {
            return Shipped::default();
        }
        if is(tokens, at, &["#", "["]) {
            let end = close(tokens, at + 1);
            if is_test(&tokens[at + 2..end]) {
                let item = after_attributes(tokens, end + 1);
                if is(tokens, item, &["mod"]) && is(tokens, item + 2, &[";"]) {
                    shipped.test_modules.push(tokens[item + 1].text.clone());
                }
                at = item_end(tokens, item);
                continue;
            }
        }
        shipped.tokens.push(tokens[at].clone());
        at += 1;
    }
    shipped
}

fn is_test(attribute: &[Token]) -> bool {
    let texts: Vec<&str> = attribute.iter().map(|it| it.text.as_str()).collect();
    match texts.as_slice() {
        ["test"] | ["cfg", "(", "test", ")"] => true,
        ["cfg", "(", "all", "(", inner @ .., ")", ")"] => {
            let mut depth = 0_i32;
            let mut alone = true;
            for (index, text) in inner.iter().enumerate() {
                match *text {
                    "(" => depth += 1,
                    ")" => depth -= 1,
                    "," => {}
                    "test" if depth == 0 && alone => {
                        return matches!(inner.get(index + 1), None | Some(&","));
                    }
                    _ => {}
                }
                alone = *text == ",";
            }
            false
        }
        _ => false,
    }
}

/// Returns where the item's own words begin: behind further attributes and its visibility.
fn after_attributes(tokens: &[Token], mut at: usize) -> usize {
    while is(tokens, at, &["#", "["]) {
        at = close(tokens, at + 1) + 1;
    }
    if is(tokens, at, &["pub"]) {
        at += 1;
        if is(tokens, at, &["("]) {
            at = close(tokens, at) + 1;
        }
    }
    at
}

/// Returns the index behind the item, statement, field or variant that begins at `at`.
fn item_end(tokens: &[Token], at: usize) -> usize {
    const ITEMS: [&str; 14] = [
        "async",
        "const",
        "enum",
        "extern",
        "fn",
        "impl",
        "let",
        "macro_rules",
        "mod",
        "static",
        "struct",
        "trait",
        "type",
        "use",
    ];
    let is_item = ITEMS.iter().any(|item| is(tokens, at, &[item])) || is(tokens, at, &["unsafe"]);
    let mut angles = 0_i32;
    let mut index = at;
    while index < tokens.len() {
        match tokens[index].text.as_str() {
            "{" => return close(tokens, index) + 1,
            "(" | "[" => index = close(tokens, index),
            ")" | "}" | "]" => return index,
            ";" => return index + 1,
            "<" => angles += 1,
            ">" => angles -= 1,
            "," if !is_item && angles <= 0 => return index + 1,
            _ => {}
        }
        index += 1;
    }
    index
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tokens::tokens;

    fn shown(source: &str) -> String {
        let shipped = shipped(&tokens(source).unwrap()).tokens;
        let names = shipped.iter().map(|token| token.text.as_str());
        names.filter(|text| text.chars().all(char::is_alphanumeric)).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn shipped_leaves_out_test_code_only() {
        let source = "
            a;
            #[cfg(test)] mod b { c }
            #[cfg(test)] #[path = \"x\"] pub(crate) fn d(e: F) -> [u8; 2] { g }
            #[cfg(all(test, loom))] use h;
            struct I { #[cfg(test)] j: K<L, M>, n: O }
            #[test] fn p() {}
            #[cfg(not(test))] q;
            #[cfg(any(test, r))] s;
            #[cfg(all(not(test), t))] u;";
        let shown = shown(source);
        assert_eq!(shown, "a struct I n O cfg not test q cfg any test r s cfg all not test t u");
    }

    #[test]
    fn shipped_names_test_modules_in_files_of_their_own() {
        let tokens = tokens("#[cfg(test)] mod tests; mod a; #[cfg(all(loom, test))] mod models;");
        assert_eq!(shipped(&tokens.unwrap()).test_modules, ["tests", "models"]);
    }

    #[test]
    fn shipped_is_empty_for_a_file_under_an_inner_cfg_test() {
        assert_eq!(shown("#![cfg(test)] use std::fs;"), "");
    }
}
