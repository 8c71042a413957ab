//! `Fenced` is the proof that a key is durable, so it is made in one file and nowhere else.
//!
//! Its private fields make that a matter of the compiler; the rules hold the fields private, the
//! type in its file, and other files from naming its construction.

use crate::tidy::Violation;
use crate::tidy::tokens::Token;
use crate::tidy::tree::Tree;

const FENCE: &str = "batpak-store/src/fence.rs";

/// Words before `Fenced {` that make it a declaration, a body or a type instead of a value.
const NOT_A_VALUE: [&str; 5] = ["struct", "impl", "for", ">", "&"];

/// No file but `fence.rs` constructs a `Fenced` or gives it functions that could.
pub(super) fn made_in_fence_only(tree: &Tree) -> Vec<Violation> {
    const RULE: &str = "fenced-made-in-fence-only";
    let mut violations = Vec::new();
    for file in &tree.files {
        if file.path == FENCE || file.package() != "batpak-store" {
            continue;
        }
        for at in named(&file.tokens) {
            let before = at.checked_sub(1).map(|it| file.tokens[it].text.as_str());
            let after = file.tokens.get(at + 1).map(|it| it.text.as_str());
            let declared = before == Some("struct");
            let made = matches!(after, Some("{" | "(")) && !before.is_some_and(|it| NOT_A_VALUE.contains(&it));
            if made || declared {
                let line = file.tokens[at].line;
                let message = format!("only {FENCE} makes a Fenced");
                violations.push(Violation::new(RULE, &file.path, line, message));
            }
        }
    }
    violations
}

/// `fence.rs` declares `Fenced`, and no field of it is public in any degree.
pub(super) fn fields_are_private(tree: &Tree) -> Vec<Violation> {
    const RULE: &str = "fenced-fields-are-private";
    let tokens = tree.file(FENCE).map_or(&[][..], |file| &file.tokens);
    let declaration = named(tokens).find(|at| at.checked_sub(1).is_some_and(|it| tokens[it].text == "struct"));
    let Some(declaration) = declaration else {
        let message = "Fenced is not declared here";
        return vec![Violation::new(RULE, FENCE, 1, message)];
    };
    let mut depth = 0_i32;
    let mut violations = Vec::new();
    for token in &tokens[declaration..] {
        match token.text.as_str() {
            "{" | "(" => depth += 1,
            "}" | ")" => depth -= 1,
            "pub" => {
                let message = "a field of Fenced is not private";
                violations.push(Violation::new(RULE, FENCE, token.line, message));
            }
            _ => {}
        }
        if depth == 0 && matches!(token.text.as_str(), "}" | ")" | ";") {
            break;
        }
    }
    violations
}

fn named(tokens: &[Token]) -> impl Iterator<Item = usize> + '_ {
    (0..tokens.len()).filter(|at| tokens[*at].text == "Fenced")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::places;

    #[test]
    fn made_in_fence_only_finds_a_construction_elsewhere() {
        let tree = Tree::planted(&[
            (
                "batpak-store/src/append.rs",
                "fn a() {\n Fenced { frame };\n Fenced(frame)\n}\n\
                 fn b(x: Fenced) -> Fenced {}\nimpl T for Fenced {}\nstruct Fenced;",
            ),
            ("batpak-store/src/fence.rs", "fn a() { Fenced { frame } }"),
        ]);
        assert_eq!(
            places(&made_in_fence_only(&tree)),
            ["batpak-store/src/append.rs:2", "batpak-store/src/append.rs:3", "batpak-store/src/append.rs:7",]
        );
    }

    #[test]
    fn fields_are_private_finds_a_public_field() {
        let planted = |text| {
            let tree = Tree::planted(&[("batpak-store/src/fence.rs", text)]);
            places(&fields_are_private(&tree))
        };
        assert_eq!(
            planted("pub struct Fenced {\n frame: F,\n pub(crate) key: K,\n}\npub fn a() {}"),
            ["batpak-store/src/fence.rs:3"]
        );
        assert_eq!(planted("pub struct Fenced(pub F);"), ["batpak-store/src/fence.rs:1"]);
        assert_eq!(planted("pub struct Fenced(F);\npub fn a() {}"), [""; 0]);
    }

    #[test]
    fn fields_are_private_finds_that_the_type_is_not_there() {
        assert_eq!(places(&fields_are_private(&Tree::planted(&[]))), ["batpak-store/src/fence.rs:1"]);
    }
}
