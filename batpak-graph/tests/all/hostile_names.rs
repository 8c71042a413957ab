//! Names that try to become markup, script or syntax.

use batpak_graph::{Annotate, Event, Export, Graph};

use crate::drawings::{DOT, HTML, MERMAID, SVG, WRITERS, Writer, page_data, written};
use crate::world::{Given, Log};

const HOSTILE: [&str; 12] = [
    "<script>alert(1)</script>",
    "</script><img src=x onerror=alert(1)>",
    "<!--<script>",
    "quote\" onload=\"alert(1)",
    "apostrophe' and `backtick`",
    "backslash\\\" [label=x]; evil -> n0;",
    "line\nbreak\r\n  n0 --> n1",
    "&lt;b&gt; &#60; #quot; #60;",
    "\u{0}\u{1b}[31m\u{7}",
    "turn\u{202e}ed \u{2028} \u{feff}",
    "]] }}; end \"] click n0 href \"javascript:alert(1)\"",
    "{{log}} {{script}}",
];

fn hostile_graph() -> Graph {
    let given = HOSTILE.iter().enumerate().map(|(number, name)| Given {
        entity: (*name).to_owned(),
        scope: format!("scope {name}"),
        ..Given::new(number as u64, &(number as u64).checked_sub(1).into_iter().collect::<Vec<_>>())
    });
    Graph::build(&Log(given.collect())).unwrap()
}

struct Hostile;

impl Annotate for Hostile {
    fn label(&self, event: &Event<'_>) -> Option<String> {
        Some(format!("label {}", event.entity()))
    }

    fn payload(&self, event: &Event<'_>) -> Option<String> {
        Some(format!("payload {}", event.entity()))
    }
}

fn drawn(writer: Writer) -> [String; 2] {
    let graph = hostile_graph();
    let title = HOSTILE.concat();
    let export = Export::new(&graph).titled(&title);
    [written(&export, writer), written(&export.clone().annotated(&Hostile), writer)]
}

#[test]
fn no_drawing_holds_an_invisible_character() {
    for writer in WRITERS {
        for text in drawn(writer) {
            let invisible = |character: char| {
                character.is_control() && character != '\n' || "\u{202e}\u{2028}\u{feff}".contains(character)
            };
            assert_eq!(text.chars().find(|&character| invisible(character)), None);
        }
    }
}

#[test]
fn dot_stays_a_list_of_statements() {
    for dot in drawn(DOT) {
        // Outside of quotes only what the writer itself writes is left.
        let mut outside = String::new();
        let mut is_quoted = false;
        let mut characters = dot.chars();
        while let Some(character) = characters.next() {
            match character {
                '\\' if is_quoted => drop(characters.next()),
                '"' => is_quoted = !is_quoted,
                '\n' if is_quoted => panic!("a line ends within quotes"),
                other if !is_quoted => outside.push(other),
                '<' | '>' => panic!("markup within quotes"),
                _ => {}
            }
        }
        assert!(!is_quoted);
        for word in ["evil", "alert", "click", "script"] {
            assert!(!outside.contains(word), "{word}");
        }
        assert_eq!(outside.matches(" -> ").count(), HOSTILE.len() - 1);
        assert_eq!(outside.lines().count(), 5 + HOSTILE.len() + HOSTILE.len() - 1 + 1);
    }
}

#[test]
fn mermaid_stays_a_list_of_nodes_and_arrows() {
    for mermaid in drawn(MERMAID) {
        let body = mermaid.split_once("flowchart TD\n").unwrap().1;
        for line in body.lines() {
            assert!(!line.contains(['<', '\\', '`', '\'']) || line.contains(" --> "), "{line}");
            match line.split_once("[\"") {
                Some((name, label)) => {
                    assert!(name.trim_start().starts_with('n'), "{line}");
                    let label = label.strip_suffix("\"]").unwrap();
                    assert!(!label.contains(['"', '[', ']', '{', '}', '(', ')', '|', '>']), "{line}");
                }
                None => assert!(line.contains(" --> n") || line.starts_with("  class"), "{line}"),
            }
        }
        assert_eq!(body.matches(" --> ").count(), HOSTILE.len() - 1);
    }
}

#[test]
fn svg_has_only_the_elements_of_the_writer() {
    for svg in drawn(SVG) {
        for tag in svg.split('<').skip(1) {
            let name =
                tag.split(|character: char| !character.is_ascii_alphanumeric() && character != '/').next().unwrap();
            let known = ["svg", "/svg", "title", "/title", "rect", "text", "/text", "g", "/g", "path"];
            assert!(known.contains(&name), "<{name}");
            let (tag, text) = tag.split_once('>').unwrap();
            assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
            assert!(!tag.contains("onload") && !tag.contains("onerror"), "{tag}");
            assert!(!text.contains(['"', '\'', '>']), "{text}");
        }
        assert_eq!(svg.matches("<svg class=\"event\"").count(), HOSTILE.len());
    }
}

#[test]
fn html_keeps_names_in_its_data() {
    for html in drawn(HTML) {
        assert_eq!(html.matches("<script").count(), 2);
        assert_eq!(html.matches("</script").count(), 2);
        assert!(!html.contains("<img") && !html.contains("<!--"));
        let data = page_data(&html);
        let entities = data["entities"].as_array().unwrap();
        assert_eq!(entities.len(), HOSTILE.len());
        assert_eq!(entities[0], HOSTILE[0]);
        assert_eq!(entities[6], "line\\u{a}break\\u{d}\\u{a}  n0 --> n1");
        assert_eq!(data["x"].as_array().unwrap().len(), HOSTILE.len());
    }
    let with_payloads = page_data(&drawn(HTML)[1]);
    assert_eq!(with_payloads["payload"]["6"], format!("payload {}", HOSTILE[6]));
}
