//! Hangul taken apart: into the letters that are typed, and into initials (초성).

/// The first of the syllables, which stand in the order of their letters.
const FIRST: u32 = 0xAC00;
const INITIALS: [char; 19] = [
    'ㄱ', 'ㄲ', 'ㄴ', 'ㄷ', 'ㄸ', 'ㄹ', 'ㅁ', 'ㅂ', 'ㅃ', 'ㅅ', 'ㅆ', 'ㅇ', 'ㅈ', 'ㅉ', 'ㅊ', 'ㅋ',
    'ㅌ', 'ㅍ', 'ㅎ',
];
/// A vowel or a final that is typed with two keys is two letters, so that 고 begins 과 and 달 닭.
const VOWELS: [&str; 21] = [
    "ㅏ", "ㅐ", "ㅑ", "ㅒ", "ㅓ", "ㅔ", "ㅕ", "ㅖ", "ㅗ", "ㅗㅏ", "ㅗㅐ", "ㅗㅣ", "ㅛ", "ㅜ",
    "ㅜㅓ", "ㅜㅔ", "ㅜㅣ", "ㅠ", "ㅡ", "ㅡㅣ", "ㅣ",
];
const FINALS: [&str; 28] = [
    "", "ㄱ", "ㄲ", "ㄱㅅ", "ㄴ", "ㄴㅈ", "ㄴㅎ", "ㄷ", "ㄹ", "ㄹㄱ", "ㄹㅁ", "ㄹㅂ", "ㄹㅅ",
    "ㄹㅌ", "ㄹㅍ", "ㄹㅎ", "ㅁ", "ㅂ", "ㅂㅅ", "ㅅ", "ㅆ", "ㅇ", "ㅈ", "ㅊ", "ㅋ", "ㅌ", "ㅍ",
    "ㅎ",
];
/// Letters kept of a term: nobody types more before looking.
const LONGEST: usize = 24;
/// Syllables of a text whose endings are kept.
const MOST: usize = 60;

/// The words of a text as they are compared: in lower case, without marks.
pub(crate) fn words(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect()
}

/// Whether a word is initials only, as one types ㅊㅅㄱ for 청소기.
pub(super) fn is_initials(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| INITIALS.contains(&c))
}

/// A word in the letters that are typed for it.
pub(super) fn letters(word: &str) -> String {
    letters_with(word, |_, _| {})
}

/// The same, telling of each character where its letters begin, and whether it is a syllable.
fn letters_with(word: &str, mut begins: impl FnMut(usize, bool)) -> String {
    let mut letters = String::new();
    for c in word.chars() {
        let parts = parts(c);
        begins(letters.len(), parts.is_some());
        match parts {
            Some((initial, vowel, last)) => {
                letters.push(initial);
                letters += vowel;
                letters += last;
            }
            None => letters.push(c),
        }
    }
    letters
}

/// The letters of each word, and of each ending of a word or a run of words that begins with a
/// syllable: 무선 청소기 also as 무선청소기 and 청소기. A prefix or a near miss of one of them is
/// what somebody may have meant.
pub(super) fn all_letters(text: &str) -> Vec<String> {
    let mut terms = vec![];
    for word in words(text).into_iter().chain(runs(text)) {
        let mut begins = vec![];
        let letters = letters_with(&word, |at, is_syllable| begins.push((at, is_syllable)));
        // The last syllable alone says too little.
        if begins.len() > 1 {
            begins.pop();
        }
        let endings = begins.into_iter().filter(|&(at, is_syllable)| at == 0 || is_syllable);
        terms.extend(endings.take(MOST).map(|(at, _)| first(&letters[at..]).to_owned()));
    }
    distinct(terms)
}

/// As much of a term as is kept.
fn first(letters: &str) -> &str {
    letters.char_indices().nth(LONGEST).map_or(letters, |(end, _)| &letters[..end])
}

/// The initials of each run of words in syllables, and of each of its endings.
pub(super) fn all_initials(text: &str) -> Vec<String> {
    let mut terms = vec![];
    for run in runs(text) {
        let initials: Vec<char> = run.chars().filter_map(|c| Some(parts(c)?.0)).collect();
        let begins = 0..initials.len().min(MOST);
        terms.extend(begins.map(|at| initials[at..].iter().take(LONGEST).collect::<String>()));
    }
    distinct(terms)
}

/// The words in syllables that stand beside each other, joined: blanks are typed or not.
fn runs(text: &str) -> Vec<String> {
    let is_of_run = |c: char| c == ' ' || parts(c).is_some();
    let runs = text.split(|c| !is_of_run(c)).map(|run| run.replace(' ', ""));
    runs.filter(|run| !run.is_empty()).collect()
}

fn parts(c: char) -> Option<(char, &'static str, &'static str)> {
    let at = usize::try_from(u32::from(c).checked_sub(FIRST)?).ok()?;
    let initial = INITIALS.get(at / (VOWELS.len() * FINALS.len()))?;
    Some((*initial, VOWELS[at / FINALS.len() % VOWELS.len()], FINALS[at % FINALS.len()]))
}

fn distinct(mut terms: Vec<String>) -> Vec<String> {
    terms.sort();
    terms.dedup();
    terms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syllables_fall_apart_into_what_is_typed() {
        assert_eq!(letters("청소기"), "ㅊㅓㅇㅅㅗㄱㅣ");
        assert_eq!(letters("닭과v12"), "ㄷㅏㄹㄱㄱㅗㅏv12");
        assert_eq!(letters("힣가"), "ㅎㅣㅎㄱㅏ");
        for (typed, meant) in [("처", "청"), ("고", "과"), ("달", "닭"), ("청소ㄱ", "청소기")]
        {
            assert!(letters(meant).starts_with(&letters(typed)), "{typed} begins {meant}");
        }
    }

    #[test]
    fn a_word_is_kept_with_its_endings() {
        let terms = all_letters("무선청소기 V12");
        assert!(all_letters("무선 청소기").contains(&letters("무선청소기")));
        assert!(terms.contains(&letters("청소기")) && terms.contains(&"v12".to_owned()));
        assert!(!terms.contains(&letters("기")), "one syllable says too little");
    }

    #[test]
    fn initials_run_over_blanks_and_stop_at_other_letters() {
        let initials = all_initials("LG 무선 청소기 V12 화이트");
        for term in ["ㅁㅅㅊㅅㄱ", "ㅊㅅㄱ", "ㅎㅇㅌ"] {
            assert!(initials.contains(&term.to_owned()), "{term} is not in {initials:?}");
        }
        assert!(is_initials("ㅊㅅㄱ") && !is_initials("ㅊ소기") && !is_initials(""));
    }
}
