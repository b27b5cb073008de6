//! The rows of one product as the body that registers it.

use anyhow::ensure;
use csv::StringRecord;
use domain::{Currency, product::SaleState};
use serde_json::{Value, json};

use super::Places;

/// Columns that tell what a product has no place for, and what that is.
const LEFT_OUT: [(&str, &str); 8] = [
    ("Variant Inventory Qty", "stock"),
    ("Tags", "tags"),
    ("Variant Compare At Price", "prices to compare with"),
    ("Variant Grams", "weights"),
    ("Variant Barcode", "barcodes"),
    ("Cost per item", "costs"),
    ("SEO Title", "titles for search engines"),
    ("SEO Description", "descriptions for search engines"),
];

/// The columns of a file, by their names.
pub(super) struct Columns {
    places: Places,
    currency: Currency,
}

/// Why a product cannot be made of its rows: a code, and what to mend.
type Fault = (&'static str, String);

impl Columns {
    /// Finds the columns in the head of a file.
    ///
    /// # Errors
    /// When one is missing without which there are no products.
    pub(super) fn of(head: &StringRecord, currency: Currency) -> anyhow::Result<Self> {
        let name = |name: &str| name.trim_start_matches('\u{feff}').trim().to_owned();
        let places: Places = head.iter().enumerate().map(|(at, text)| (name(text), at)).collect();
        for needed in ["Handle", "Title", "Variant Price"] {
            ensure!(places.contains_key(needed), "no product CSV of Shopify: no column {needed:?}");
        }
        Ok(Self { places, currency })
    }

    /// The text of a column; empty where the row, or the file, lacks it.
    pub(super) fn get<'r>(&self, row: &'r StringRecord, column: &str) -> &'r str {
        self.places.get(column).and_then(|at| row.get(*at)).unwrap_or_default().trim()
    }

    /// The path of its category, from the outermost on.
    pub(super) fn category<'r>(&self, row: &'r StringRecord) -> &'r str {
        let columns = ["Product Category", "Google Shopping / Google Product Category", "Type"];
        columns.iter().map(|column| self.get(row, column)).find(|t| !t.is_empty()).unwrap_or("")
    }

    /// What a row tells that no product has. A weight of 0 is one that nobody gave.
    pub(super) fn left_out(&self, row: &StringRecord) -> impl Iterator<Item = &'static str> {
        let tells = |&(column, _): &(&str, &str)| match self.get(row, column) {
            "" => false,
            text => column != "Variant Grams" || text.parse() != Ok(0.0),
        };
        let told: Vec<_> = LEFT_OUT.iter().filter(|c| tells(c)).map(|(_, what)| *what).collect();
        told.into_iter()
    }

    /// The product of `group`, without its brand and category.
    pub(super) fn product(&self, group: &[StringRecord]) -> Result<Value, Fault> {
        let first = group.first().ok_or(("NO_ROWS", String::new()))?;
        let options = self.options(first);
        // A row without a price only adds a picture.
        let is_variant = |row: &&StringRecord| !self.get(row, "Variant Price").is_empty();
        let variants: Vec<&StringRecord> = group.iter().filter(is_variant).collect();
        let Some(first_variant) = variants.first() else {
            return Err(("NO_PRICE", "no row of the product has a Variant Price".to_owned()));
        };
        let list_price = self.price(first_variant)?;
        let mut values: Vec<Vec<&str>> = vec![vec![]; options.len()];
        let mut skus = vec![];
        for row in &variants {
            let choices: Vec<&str> = options.iter().map(|(_, at)| self.get(row, at)).collect();
            for (known, choice) in values.iter_mut().zip(&choices) {
                if !known.contains(choice) {
                    known.push(choice);
                }
            }
            let price = Some(self.price(row)?).filter(|price| *price != list_price);
            skus.push(
                json!({"code": self.code(row, &choices), "choices": choices, "price": price}),
            );
        }
        let options = options.iter().zip(values);
        let options = options.map(|((name, _), values)| json!({"name": name, "values": values}));
        let (displayed, sale_state) = self.standing(first)?;
        Ok(json!({
            "external_id": self.get(first, "Handle"),
            "name": self.get(first, "Title"),
            "description": plain(self.get(first, "Body (HTML)")),
            "options": options.collect::<Vec<_>>(),
            "skus": skus,
            "list_price": list_price,
            "images": self.images(group),
            "displayed": displayed,
            "sale_state": sale_state,
        }))
    }

    /// Whether the product is displayed, and its sale state: none where the file has no Status, so
    /// that it stays as it is.
    fn standing(&self, first: &StringRecord) -> Result<(bool, Option<SaleState>), Fault> {
        let published = !self.get(first, "Published").eq_ignore_ascii_case("false");
        match self.get(first, "Status").to_ascii_lowercase().as_str() {
            "" => Ok((published, None)),
            "active" => Ok((published, Some(SaleState::OnSale))),
            "draft" => Ok((false, Some(SaleState::Ready))),
            // It may come back, so its sale is stopped and not finished.
            "archived" => Ok((false, Some(SaleState::Stop))),
            other => Err((
                "INVALID_STATUS",
                format!("{other:?} is no Status: there are active, draft and archived"),
            )),
        }
    }

    /// The name of each option and the column of its values. A product of one kind is said to have
    /// the option `Title` of the value `Default Title`.
    fn options<'r>(&self, first: &'r StringRecord) -> Vec<(&'r str, String)> {
        let only = self.get(first, "Option1 Value") == "Default Title";
        let all = (1..=3)
            .map(|n| (self.get(first, &format!("Option{n} Name")), format!("Option{n} Value")));
        all.filter(|(name, _)| !only && !name.is_empty()).collect()
    }

    fn code(&self, row: &StringRecord, choices: &[&str]) -> String {
        let own = self.get(row, "Variant SKU").trim_start_matches('\'');
        match (own.is_empty(), choices.is_empty()) {
            (false, _) => own.to_owned(),
            (true, true) => "ONLY".to_owned(),
            (true, false) => choices.join("/"),
        }
    }

    fn images(&self, group: &[StringRecord]) -> Vec<String> {
        let mut images: Vec<String> = vec![];
        for row in group {
            for column in ["Image Src", "Variant Image"] {
                let image = self.get(row, column);
                if !image.is_empty() && !images.iter().any(|known| known == image) {
                    images.push(image.to_owned());
                }
            }
        }
        images
    }

    fn price(&self, row: &StringRecord) -> Result<Value, Fault> {
        let text = self.get(row, "Variant Price");
        match minor(text, self.currency.exponent()) {
            Some(minor) => Ok(json!({"minor": minor, "currency": self.currency})),
            None => Err((
                "INVALID_PRICE",
                format!("{text:?} is no price in {}", self.currency.as_str()),
            )),
        }
    }
}

/// A decimal number, with or without decimals, in minor units of `exponent` digits.
fn minor(text: &str, exponent: u32) -> Option<i64> {
    let text = text.replace(',', "");
    let (whole, decimals) = text.split_once('.').unwrap_or((&text, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_number(whole) || !is_number(decimals) {
        return None;
    }
    let digits = usize::try_from(exponent).ok()?;
    let (kept, cut) = decimals.split_at(decimals.len().min(digits));
    if cut.bytes().any(|byte| byte != b'0') {
        return None;
    }
    format!("{whole}{kept:0<digits$}").parse().ok()
}

/// The text of some HTML.
fn plain(html: &str) -> String {
    let (mut text, mut rest) = (String::with_capacity(html.len()), html);
    while let Some(start) = rest.find('<') {
        text.push_str(&rest[..start]);
        rest = &rest[start..];
        let Some(length) = rest.find('>') else { break };
        let tag = rest[1..length].to_ascii_lowercase();
        if ["br", "/p", "/li", "/div", "/h"].iter().any(|end| tag.starts_with(end)) {
            text.push('\n');
        }
        rest = &rest[length + 1..];
    }
    text.push_str(rest);
    for (entity, letter) in [
        ("&nbsp;", " "),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&amp;", "&"),
    ] {
        text = text.replace(entity, letter);
    }
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(head: &str) -> Columns {
        Columns::of(&record(head), "USD".parse().unwrap()).unwrap()
    }

    fn record(fields: &str) -> StringRecord {
        fields.split('|').collect::<Vec<_>>().into()
    }

    #[test]
    fn a_price_may_have_no_decimals_and_never_too_many() {
        for (text, exponent, expected) in [
            ("50", 2, Some(5000)),
            ("9.99", 2, Some(999)),
            ("9.5", 2, Some(950)),
            ("1,299.00", 2, Some(129_900)),
            ("9900.00", 0, Some(9900)),
            ("9900.50", 0, None),
            ("1.234", 2, None),
            ("", 2, None),
            ("free", 2, None),
            ("-1", 2, None),
        ] {
            assert_eq!(minor(text, exponent), expected, "{text}");
        }
    }

    #[test]
    fn html_becomes_text() {
        assert_eq!(plain("<p>A &amp; B</p><ul><li>one</li></ul>"), "A & B\none");
        assert_eq!(plain("5 < 6"), "5 < 6");
    }

    #[test]
    fn variants_become_skus_and_pictures_are_gathered() {
        let columns = columns(
            "Handle|Title|Option1 Name|Option1 Value|Variant SKU|Variant Price|Image Src|Published",
        );
        let rows = [
            record("pot|Pot|Size|Small||9.99|https://a/1.jpg|true"),
            record("pot|||Large|P-L|12||"),
            record("pot||||||https://a/2.jpg|"),
        ];
        let product = columns.product(&rows).unwrap();
        assert_eq!(product["options"], json!([{"name": "Size", "values": ["Small", "Large"]}]));
        assert_eq!(product["skus"][0]["code"], "Small");
        assert_eq!(product["skus"][0]["price"], Value::Null);
        assert_eq!(product["skus"][1]["code"], "P-L");
        assert_eq!(product["skus"][1]["price"]["minor"], 1200);
        assert_eq!(product["images"], json!(["https://a/1.jpg", "https://a/2.jpg"]));
        let only = [record("lamp|Lamp|Title|Default Title||50||false")];
        let product = columns.product(&only).unwrap();
        assert_eq!((&product["options"], &product["displayed"]), (&json!([]), &json!(false)));
        assert_eq!(product["skus"], json!([{"code": "ONLY", "choices": [], "price": null}]));
        assert!(columns.product(&[record("none|None|||||https://a/1.jpg|")]).is_err());
    }

    #[test]
    fn a_status_says_what_is_shown_and_sold() {
        let columns = columns("Handle|Title|Variant Price|Published|Status");
        let standing = |published: &str, status: &str| {
            let row = record(&format!("a|A|1|{published}|{status}"));
            let product = columns.product(&[row])?;
            Ok::<_, Fault>((product["displayed"].clone(), product["sale_state"].clone()))
        };
        for (published, status, displayed, state) in [
            ("true", "", true, json!(null)),
            ("false", "", false, json!(null)),
            ("true", "Active", true, json!("ONSALE")),
            ("false", "active", false, json!("ONSALE")),
            ("true", "draft", false, json!("READY")),
            ("true", "archived", false, json!("STOP")),
        ] {
            assert_eq!(standing(published, status), Ok((json!(displayed), state)), "{status}");
        }
        assert_eq!(standing("true", "sold").unwrap_err().0, "INVALID_STATUS");
    }

    #[test]
    fn what_has_no_place_is_named() {
        let columns =
            columns("Handle|Title|Variant Price|Tags|Variant Inventory Qty|Variant Grams");
        let told = |row: &str| columns.left_out(&record(row)).collect::<Vec<_>>();
        assert_eq!(told("a|A|1|linen, summer|0|0.0"), ["stock", "tags"]);
        assert_eq!(told("a|A|1|||120"), ["weights"]);
        assert!(told("a|A|1|||0").is_empty());
    }
}
