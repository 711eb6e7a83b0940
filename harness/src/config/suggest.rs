//! What someone may have meant by a name that there is not.

/// How alike two names must be, from 0 to 1, for one to be taken for the other mistyped.
const ALIKE_MIN: f64 = 0.8;

/// `; did you mean "name"?`, or nothing where no known name is like it.
pub(super) fn did_you_mean<'a>(found: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let alike = |name: &str| strsim::jaro_winkler(found, name);
    let nearest = known.into_iter().max_by(|a, b| alike(a).total_cmp(&alike(b)));
    match nearest.filter(|name| alike(name) >= ALIKE_MIN) {
        Some(name) => format!("; did you mean {name:?}?"),
        None => String::new(),
    }
}

/// The same for a parser's message about an unknown field or variant, which lists the known ones:
/// ``unknown field `nmae`, expected `name` or `repeat` ``.
pub(super) fn did_you_mean_by(message: &str) -> String {
    if !message.starts_with("unknown ") {
        return String::new();
    }
    // Every second part lies between two backticks.
    let mut names = message.split('`').skip(1).step_by(2);
    let Some(found) = names.next() else { return String::new() };
    did_you_mean(found, names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_name_is_told_from_a_strange_one() {
        let message = |found: &str| format!("unknown field `{found}`, expected `name` or `repeat`");
        assert_eq!(did_you_mean_by(&message("nmae")), "; did you mean \"name\"?");
        assert_eq!(did_you_mean_by(&message("repeats")), "; did you mean \"repeat\"?");
        assert_eq!(did_you_mean_by(&message("colour")), "");
        assert_eq!(did_you_mean_by("missing field `name`"), "");
    }
}
