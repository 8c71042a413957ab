//! The events of the page: clerks that go on from what they did and from what others did.

use std::fmt::Write;

use serde_json::json;

use crate::random::Random;

const CLERKS: usize = 60;

/// Names that would be markup, script or more if the page let them.
const HOSTILE: [&str; 4] = [
    "<script>document.title='was run'</script>",
    "</script><img src=x onerror=document.title='was_run'>",
    "quote\" onload=\"alert(1)",
    "&lt;b&gt; ' ` \\u003c {{log}}",
];

/// Returns JSON lines for `batpak import jsonl`, an event each.
pub(super) fn lines(events: usize) -> String {
    let mut random = Random::new(20_000);
    let mut last: Vec<Option<usize>> = vec![None; CLERKS];
    let mut lines = String::new();
    for event in 0..events {
        // Some clerks do much more than others.
        let clerk = random.below(CLERKS).min(random.below(CLERKS));
        let mut causes: Vec<String> =
            last[clerk].filter(|_| random.below(20) > 0).iter().map(usize::to_string).collect();
        for _ in 0..random.below(3) {
            let cause = event.saturating_sub(1 + random.below(150)).to_string();
            if event > 0 && !causes.contains(&cause) {
                causes.push(cause);
            }
        }
        last[clerk] = Some(event);
        let line = json!({
            "entity": HOSTILE.get(clerk).map_or_else(|| format!("clerk-{clerk}"), |name| (*name).to_owned()),
            "scope": if random.below(4) == 0 { "harbour" } else { "town" },
            "kind": format!("1:{}", 1 + random.below(5)),
            "key": event.to_string(),
            "causes": causes,
            "payload": "",
        });
        let _ = writeln!(lines, "{line}");
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_name_earlier_events_as_causes() {
        let lines = lines(500);
        let mut causes_total = 0;
        for (event, line) in lines.lines().enumerate() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let causes = line["causes"].as_array().unwrap();
            assert!(causes.iter().all(|cause| cause.as_str().unwrap().parse::<usize>().unwrap() < event));
            causes_total += causes.len();
        }
        assert!(causes_total > 700, "{causes_total}");
        assert!(HOSTILE.iter().all(|name| lines.contains(&json!(name).to_string())));
    }
}
