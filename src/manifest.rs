//! What the migrations create, as a text that is read in review: `migrations/manifest.txt`.
//!
//! A section a version, a block an object, a line a fact; text of several lines has
//! a bar in front. A block replaces the block of the same object in an earlier
//! section, `- kind: name` takes it away. Install parameters are placeholders:
//! `{anon_role}` stands for the name as SQL writes it, `'{anon_role}'` for the literal.
//!
//! ```text
//! # 02-auth_schema
//! function: auth.logout()
//!   comment: Ends the session …
//!   definition
//!     | CREATE OR REPLACE FUNCTION auth.logout()
//!     |  RETURNS void
//!     …
//!   owner: {owner_role}
//! ```

use std::collections::BTreeMap;

/// Kind and name of an object, such as `function` and `auth.logout()`.
pub type Object = (String, String);

/// The facts of one object: property and value.
pub type Properties = BTreeMap<String, String>;

/// The facts of each object.
pub type Facts = BTreeMap<Object, Properties>;

/// Whether a manifest has a section for this version.
pub fn has(text: &str, version: i32) -> bool {
    text.lines().filter_map(|line| number(line.strip_prefix("# ")?)).any(|number| number == version)
}

/// What a manifest says is there when this version is the newest one applied. The error names
/// the line.
pub fn facts_at(text: &str, version: i32) -> Result<Option<Facts>, String> {
    let mut facts = Facts::new();
    let mut section = None;
    let mut object: Option<Object> = None;
    // The property that lines with a bar belong to, and whether it has one yet.
    let mut property: Option<(String, bool)> = None;
    for (index, line) in text.lines().enumerate() {
        let wrong = |what: &str| Err(format!("line {}: {what}", index + 1));
        if let Some(label) = line.strip_prefix("# ") {
            if section == Some(version) {
                return Ok(Some(facts));
            }
            section = number(label);
            if section.is_none() {
                return wrong("a section is headed by number and name");
            }
            (object, property) = (None, None);
        } else if let Some(rest) = line.strip_prefix("    |") {
            let (Some(object), Some((property, begun))) = (&object, &mut property) else {
                return wrong("a value without property");
            };
            if let Some(value) = facts.get_mut(object).and_then(|facts| facts.get_mut(property.as_str())) {
                if std::mem::replace(begun, true) {
                    value.push('\n');
                }
                value.push_str(rest.strip_prefix(' ').unwrap_or(rest));
            }
        } else if let Some(rest) = line.strip_prefix("  ") {
            let Some(object) = &object else { return wrong("a fact without object") };
            let (name, value) = match rest.split_once(": ") {
                Some((name, value)) => (name, value),
                None => (rest, ""),
            };
            property = Some((name.to_owned(), false));
            facts.entry(object.clone()).or_default().insert(name.to_owned(), value.to_owned());
        } else if !line.is_empty() {
            let (gone, line) = line.strip_prefix("- ").map_or((false, line), |rest| (true, rest));
            let Some((kind, name)) = line.split_once(": ") else {
                return wrong("an object is `kind: name`");
            };
            let found = (kind.to_owned(), name.to_owned());
            facts.remove(&found);
            if !gone {
                facts.insert(found.clone(), BTreeMap::new());
            }
            object = Some(found);
        }
    }
    Ok((section == Some(version)).then_some(facts))
}

/// The number of `02-auth_schema`.
fn number(label: &str) -> Option<i32> {
    label.split('-').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_manifest_is_refused_with_its_line() {
        for (text, line) in [("# x", 1), ("  a: b", 1), ("# 01-a\n    | b", 2), ("# 01-a\nnonsense", 2)] {
            assert!(facts_at(text, 0).unwrap_err().starts_with(&format!("line {line}: ")), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "(?s).{0,80}") {
            let _ = facts_at(&text, 0);
        }
    }
}
