//! `cargo xtask licences`: each dependency's licence expression against the accepted licences.
//!
//! A package passes when some choice its expression offers needs accepted licences only; one that
//! names no expression does not pass.

use spdx::{Expression, ParseMode};

use crate::Outcome;
use crate::workspace::{self, Package};

/// Licences that ask for no more than a notice, by SPDX identifier. The one accepted exception,
/// `LLVM-exception`, only grants more. ISC is the licence of the default AEAD's assembly (`ring`: "Apache-2.0 AND ISC").
const ACCEPTED: [&str; 12] = [
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Checks every package of the lock file that the workspace may build.
///
/// # Errors
///
/// When a package's licence is missing, unreadable or not accepted.
pub(crate) fn run() -> Outcome {
    let workspace = workspace::with_dependencies()?;
    let foreign: Vec<&Package> = workspace.packages.iter().filter(|package| package.source.is_some()).collect();
    let refusals: Vec<String> = foreign.iter().filter_map(|package| refusal(package)).collect();
    for refusal in &refusals {
        println!("{refusal}");
    }
    if refusals.is_empty() {
        println!("licences: {} dependencies, all accepted", foreign.len());
        Ok(())
    } else {
        Err(format!("{} dependencies with licences not accepted", refusals.len()).into())
    }
}

fn refusal(package: &Package) -> Option<String> {
    let Package { name, version, .. } = package;
    let Some(text) = package.license.as_deref() else {
        return Some(format!("{name} {version}: names no licence"));
    };
    match Expression::parse_mode(text, ParseMode::LAX) {
        Ok(expression) if expression.evaluate(is_accepted) => None,
        Ok(_) => Some(format!("{name} {version}: {text}: not accepted")),
        Err(_) => Some(format!("{name} {version}: {text}: not an SPDX expression")),
    }
}

fn is_accepted(licence: &spdx::LicenseReq) -> bool {
    let accepted_exception = match &licence.addition {
        None => true,
        Some(addition) => addition.to_string() == "LLVM-exception",
    };
    let accepted_licence = licence.license.id().is_some_and(|id| ACCEPTED.contains(&id.name));
    accepted_licence && accepted_exception
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(licence: Option<&str>) -> Option<String> {
        let mut package = Package::planted("p", &[]);
        package.license = licence.map(str::to_owned);
        refusal(&package)
    }

    #[test]
    fn refusal_accepts_any_accepted_choice() {
        for licence in [
            "MIT",
            "MIT OR Apache-2.0",
            "MIT/Apache-2.0",
            "GPL-2.0-only OR MIT",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception",
        ] {
            assert_eq!(refused(Some(licence)), None, "{licence}");
        }
    }

    #[test]
    fn refusal_names_the_licence_that_is_not_accepted() {
        assert_eq!(refused(Some("MIT AND GPL-3.0-only")).unwrap(), "p 0.1.0: MIT AND GPL-3.0-only: not accepted");
        assert_eq!(
            refused(Some("GPL-2.0-only WITH Classpath-exception-2.0")).unwrap(),
            "p 0.1.0: GPL-2.0-only WITH Classpath-exception-2.0: not accepted"
        );
    }

    #[test]
    fn refusal_names_a_package_without_a_licence() {
        assert_eq!(refused(None).unwrap(), "p 0.1.0: names no licence");
    }

    #[test]
    fn refusal_names_an_expression_that_cannot_be_read() {
        assert_eq!(refused(Some("my own terms")).unwrap(), "p 0.1.0: my own terms: not an SPDX expression");
    }
}
