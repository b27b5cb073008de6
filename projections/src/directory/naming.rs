//! How people call a category: not only by its whole name.

use crate::search::words;

/// Words of a text that may name a category together, at most.
pub(super) const LONGEST: usize = 4;
/// Marks that stand inside a word, not between two names.
const INNER: [char; 4] = [' ', '-', '\'', '’'];
/// Syllables that an ending of a compound has at least, and those before it: 무선청소기 is called
/// 청소기, but no 운동화 (a shoe) is called 동화 (a tale).
const SYLLABLES: usize = 2;

/// What a category of that name may be called, as [`joined`] has it: the name, each of the names
/// that marks such as / part, and their heads, which stand last. What & or · joins is called by
/// both names together only: of 홈·가든, most is nothing for a garden.
pub(super) fn called(name: &str) -> Vec<String> {
    let parts = name.split(|c: char| !c.is_alphanumeric() && !INNER.contains(&c) && !is_and(c));
    let mut called = vec![joined(&words(name))];
    for part in parts {
        let (words, is_one) = (words(part), !part.contains(is_and));
        let heads_at = if is_one { words.len() } else { 1 };
        called.extend((0..heads_at.min(words.len())).map(|at| joined(&words[at..])));
        let last = words.last().filter(|_| is_one);
        called.extend(last.into_iter().flat_map(|last| heads(last)));
    }
    called.retain(|name| name.chars().count() > 1);
    called.sort();
    called.dedup();
    called
}

fn is_and(mark: char) -> bool {
    matches!(mark, '&' | '·' | '+')
}

/// Words as they are compared: without blanks between them, and in the singular.
pub(super) fn joined(words: &[String]) -> String {
    words.iter().map(|word| singular(word)).collect()
}

/// The endings of a compound in syllables.
fn heads(word: &str) -> Vec<String> {
    let syllables: Vec<char> = word.chars().collect();
    if !syllables.iter().all(|c| ('가'..='힣').contains(c)) {
        return vec![];
    }
    let begins = SYLLABLES..(syllables.len() + 1).saturating_sub(SYLLABLES);
    begins.map(|at| syllables[at..].iter().collect()).collect()
}

fn singular(word: &str) -> String {
    let ending = |ending: &str| word.strip_suffix(ending).filter(|stem| stem.len() > 2);
    let hisses = |stem: &&str| ["s", "x", "z", "ch", "sh"].iter().any(|end| stem.ends_with(end));
    match (ending("ies"), ending("es").filter(hisses), ending("s")) {
        (Some(stem), ..) => format!("{stem}y"),
        (_, Some(stem), _) => stem.to_owned(),
        (.., Some(stem)) if !stem.ends_with(['s', 'u', 'i']) => stem.to_owned(),
        _ => word.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_category_is_called_by_its_head_and_never_by_a_piece_of_a_word() {
        for (name, typed) in [
            ("무선청소기", "청소기"),
            ("무선청소기", "무선 청소기"),
            ("무선 청소기", "무선청소기"),
            ("여성 신발", "신발"),
            ("의류/상의", "상의"),
            ("Running Shoes", "shoe"),
            ("Ski/boarding", "SKI"),
            ("Apparel & Accessories", "apparel accessories"),
            ("T-Shirts", "t-shirt"),
            ("Glasses", "glasses"),
        ] {
            let (called, typed) = (called(name), joined(&words(typed)));
            assert!(called.contains(&typed), "{typed} is not in {called:?}");
        }
        for (name, typed) in [
            ("운동화", "동화"),
            ("목걸이", "걸이"),
            ("Running Shoes", "running"),
            ("T/S", "t"),
            ("홈·가든", "가든"),
            ("Apparel & Accessories", "accessory"),
        ] {
            let (called, typed) = (called(name), joined(&words(typed)));
            assert!(!called.contains(&typed), "{typed} is in {called:?}");
        }
    }
}
