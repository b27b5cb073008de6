//! The catalogue of error codes: what each means and what to do, for people and as `docs/errors.md`.

use std::fmt::Write as _;

use crate::problem::{ApiError, status_of};

/// A code, what it means, and what to do. `the_catalogue_is_complete` compares it with the types.
const TEXTS: &[(&str, &str, &str)] = &[
    (
        "APPROVAL_UNREACHABLE",
        "The approval cannot go from what it is to what was wished.",
        "Read the product; take the steps in order: request, then approve or reject.",
    ),
    ("BLANK_NAME", "A name is white space only.", "Send a name."),
    ("BLANK_REASON", "A reason is white space only.", "Send a reason."),
    (
        "BODY_TIMED_OUT",
        "The body did not arrive in time.",
        "Send it again over a steadier connection.",
    ),
    ("BODY_TOO_LARGE", "The body is longer than a command may be.", "Send less than 900 kB."),
    (
        "BRAND_ALREADY_REGISTERED",
        "The brand's number is taken.",
        "Rename that brand, or use another external_id.",
    ),
    (
        "BRAND_NOT_FOUND",
        "There is no such brand in this mall.",
        "Check the id; just registered, read it with the Consistency-Token.",
    ),
    ("CATEGORY_CYCLE", "A category would stand below itself.", "Choose a parent outside of it."),
    ("CATEGORY_HAS_CHILDREN", "The category has others below it.", "Retire or move them first."),
    (
        "CATEGORY_ID_TAKEN",
        "The id was given to another category before.",
        "Send a category_id of its own.",
    ),
    ("CATEGORY_NOT_FOUND", "There is no such category in this mall.", "Check the id."),
    (
        "CATEGORY_PARENT_NOT_FOUND",
        "The parent is not there, or retired.",
        "Name a live category, or none.",
    ),
    ("CATEGORY_RETIRED", "The category is retired.", "Use another one."),
    ("CATEGORY_TOO_DEEP", "The tree would have too many levels.", "Choose a parent further up."),
    (
        "CATEGORY_TREE_FULL",
        "The mall has as many categories as a tree may have, retired ones included.",
        "Rename or move what there is.",
    ),
    (
        "COMMAND_EXPIRED",
        "The command is older than what is kept.",
        "Read what it was to change instead.",
    ),
    (
        "COMMAND_NOT_FOUND",
        "Nothing is known of the command.",
        "Ask with the `at` that its 202 named.",
    ),
    (
        "CURRENCY_MISMATCH",
        "The price is in another currency than the product.",
        "Send the price in the product's currency.",
    ),
    ("DUPLICATE_CATEGORY", "A category is named twice.", "Name each once."),
    (
        "DUPLICATE_CATEGORY_NAME",
        "A category beside it has the name.",
        "Choose another name or parent.",
    ),
    ("DUPLICATE_OPTION", "An option, or a value of one, is named twice.", "Name each once."),
    (
        "DUPLICATE_SKU_CHOICES",
        "Two SKUs stand for one combination.",
        "Give each combination one SKU.",
    ),
    ("DUPLICATE_SKU_CODE", "A SKU code is used twice.", "Give each SKU a code of its own."),
    ("DUPLICATE_SYNONYM", "A word stands in the synonyms twice.", "Put each into one group."),
    ("FORBIDDEN", "The key is not for this mall.", "Use the key of the mall in the path."),
    (
        "IDENTITY_CHANGED",
        "The product was registered with another partner or external id.",
        "Send those, or register another product.",
    ),
    ("INTERNAL", "The server failed.", "Tell its operator the X-Request-Id of the answer."),
    (
        "INVALID_BODY",
        "The body does not have the shape of the operation.",
        "Mend what `errors` names; all faults are there at once.",
    ),
    ("INVALID_CURSOR", "The cursor is none that this server gave.", "Begin without `after`."),
    ("INVALID_IMAGE", "A picture is no http or https address.", "Send an address."),
    (
        "INVALID_SALE_PERIOD",
        "The sale period does not start before it ends.",
        "Exchange or mend the two.",
    ),
    (
        "INVALID_TOKEN",
        "The Consistency-Token is of no write of this system.",
        "Send none, or the one that a write answered.",
    ),
    (
        "KEY_REUSED",
        "The Idempotency-Key was used before with another body or If-Match.",
        "Send another wish under another key.",
    ),
    ("LAST_SKU", "The last SKU on offer cannot be retired.", "Stop the product's sale instead."),
    (
        "LOG_UNAVAILABLE",
        "The log did not take the command in time; it may yet be decided.",
        "Repeat with the same Idempotency-Key after Retry-After, or ask for the command.",
    ),
    ("MALFORMED_HEADER", "A header cannot be read.", "Mend the one that the detail names."),
    ("MALFORMED_JSON", "The body is no JSON.", "Mend it where the detail says."),
    (
        "MALFORMED_REQUEST",
        "The path or the query cannot be read.",
        "Mend the parameter that the detail names.",
    ),
    (
        "METHOD_NOT_ALLOWED",
        "The path does not take the method.",
        "Use one that the header Allow names.",
    ),
    ("NEGATIVE_PRICE", "A price is negative.", "Send 0 or more."),
    (
        "NOT_APPROVED",
        "The product cannot go on sale before it is approved.",
        "Have it approved first.",
    ),
    (
        "NOT_YET_VISIBLE",
        "The write of the Consistency-Token is not visible yet.",
        "Ask again after Retry-After.",
    ),
    ("NO_SKU", "A product needs a SKU.", "Send at least one."),
    (
        "OPTIONS_CHANGED",
        "The options of a product may only gain values.",
        "Keep those that it has, in their order.",
    ),
    (
        "OTHER_KIND",
        "The id belongs to something of another kind.",
        "Check that the id and the path are of one kind.",
    ),
    ("OVERLOADED", "Too many requests are under way.", "Ask again after Retry-After."),
    (
        "OVER_SHARE",
        "The mall has more under way than its share while others ask too.",
        "Ask again after Retry-After; spread the requests, or send a stream of commands.",
    ),
    (
        "PARTNER_ALREADY_REGISTERED",
        "The partner's number is taken.",
        "Use that partner, or another external_id.",
    ),
    (
        "PARTNER_NOT_FOUND",
        "There is no such partner in this mall.",
        "Check the id; just registered, read it with the Consistency-Token.",
    ),
    (
        "PRODUCT_ALREADY_REGISTERED",
        "The product's number is taken.",
        "Change that product, send a feed to /products/upsert, or use another external_id.",
    ),
    (
        "PRODUCT_NOT_FOUND",
        "There is no such product in this mall.",
        "Check the id; just registered, read it with the Consistency-Token.",
    ),
    ("RATE_LIMITED", "The key has asked more often than it may.", "Ask again after Retry-After."),
    ("READ_MODEL_UNAVAILABLE", "The read model does not answer.", "Ask again after Retry-After."),
    ("ROUTE_NOT_FOUND", "There is nothing at this path.", "See /docs for what there is."),
    (
        "SALE_STATE_UNREACHABLE",
        "The sale state cannot go from what it is to what was wished.",
        "Read the product for its state.",
    ),
    (
        "SEARCH_UNAVAILABLE",
        "The search does not answer.",
        "Ask again after Retry-After; lists go on.",
    ),
    (
        "SKU_CHOICES_CHANGED",
        "A SKU cannot become another combination.",
        "Give that combination a code of its own.",
    ),
    (
        "SKU_CHOICES_MISMATCH",
        "The choices of a SKU are not one value of each option, in order.",
        "Send one value for each option.",
    ),
    ("SKU_CODE_RETIRED", "The code belonged to a SKU that was retired.", "Use a new code."),
    (
        "SKU_NOT_FOUND",
        "The product has no such SKU, or it is retired.",
        "Read the product for its SKUs.",
    ),
    (
        "STALE",
        "The product changed after it was observed.",
        "Read your source again and send what it says now.",
    ),
    ("STOREFRONT_KEY", "A storefront reads what is on sale, and no more.", "Use a merchant's key."),
    ("SYNONYMS_NOT_FOUND", "The mall has no synonyms.", "Set them first."),
    ("SYNONYM_NO_WORD", "A synonym is blank or too long.", "Send 1 to 50 characters."),
    (
        "TIMED_OUT",
        "The request took too long.",
        "Ask again after Retry-After; a command with the same Idempotency-Key.",
    ),
    ("TOO_LONG", "A text is longer than allowed.", "Shorten the one that the detail names."),
    ("TOO_MANY_CATEGORIES", "A product stands in more categories than it may.", "Name fewer."),
    (
        "TOO_MANY_LINES",
        "The stream has more lines than one request may.",
        "Send the rest in further requests.",
    ),
    (
        "TOO_MANY_SKUS",
        "A product has more SKUs than it may, retired ones included.",
        "Split it into several products.",
    ),
    (
        "UNAUTHENTICATED",
        "There is no key, or it is nobody's.",
        "Send `Authorization: Bearer` and the key of the mall.",
    ),
    (
        "UNDECODABLE",
        "The command could not be read by its owner.",
        "Tell the operator; the command lies in the dead letters.",
    ),
    (
        "UNKNOWN_REFERENCE",
        "The body refers to what this mall does not have, or has taken out of use.",
        "Mend what `errors` names.",
    ),
    (
        "UNSUPPORTED_MEDIA_TYPE",
        "The body is declared as something else than JSON.",
        "Send `Content-Type: application/json`.",
    ),
    (
        "VERSION_CONFLICT",
        "The version is not the one of If-Match.",
        "Read again, and decide anew whether to change it.",
    ),
];

/// The catalogue as Markdown.
pub fn errors() -> String {
    let mut text = String::from(
        "# Error codes\n\nEvery problem document carries one of them as `code`: match on it. \
         Made from the types by `make errors`; do not edit.\n\n\
         | code | status | meaning | what to do |\n|---|---|---|---|\n",
    );
    for (code, meaning, advice) in TEXTS {
        let status = status(code);
        let _ = writeln!(text, "| `{code}` | {status} | {meaning} | {advice} |");
    }
    text
}

/// The catalogue as the rows of the page's table, each with the code as its anchor.
pub(crate) fn rows() -> String {
    let cells = |text: &str| format!("<td>{text}</td>");
    let row = |(code, meaning, advice): &(&str, &str, &str)| {
        let status = cells(&status(code).to_string());
        let code = cells(&format!("<code>{code}</code>"));
        format!("{code}{status}{}{}", cells(meaning), cells(advice))
    };
    TEXTS.iter().map(|entry| format!("<tr id=\"{}\">{}</tr>\n", entry.0, row(entry))).collect()
}

fn status(code: &str) -> u16 {
    let own = ApiError::OWN.iter().find(|(_, own)| *own == code);
    own.map_or_else(|| status_of(code), |(status, _)| *status).as_u16()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use domain::{Refusal, catalog::Rejection};

    use super::*;

    /// Codes that the owner of a command answers beside the rules' own.
    const OF_THE_HANDLER: &[&str] = &["VERSION_CONFLICT", "UNDECODABLE"];

    #[test]
    fn the_catalogue_is_complete() {
        let own = ApiError::OWN.iter().map(|(_, code)| *code);
        let rules = Rejection::codes().into_iter();
        let expected: BTreeSet<_> =
            own.chain(rules).chain(OF_THE_HANDLER.iter().copied()).collect();
        let told: Vec<_> = TEXTS.iter().map(|(code, ..)| *code).collect();
        let sorted: Vec<_> = expected.into_iter().collect();
        assert_eq!(told, sorted);
        let texts = TEXTS.iter().flat_map(|(_, meaning, advice)| [meaning, advice]);
        // They go into a page and a table as they are.
        texts.for_each(|text| assert!(!text.contains(['<', '&', '|']), "{text}"));
    }
}
