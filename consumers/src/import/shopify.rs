//! Shopify's product CSV: a row for each variant, of which only the first has a title, and further
//! rows for pictures. A vendor becomes a brand, and the product category, or else the type, a path
//! in the category tree.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    fs::File,
    path::Path,
};

use anyhow::Context as _;
use csv::StringRecord;
use domain::{BrandId, CategoriesId, CategoryId, Currency, MallId, Timestamp};
use serde_json::{Value, json};

use super::line::{Line, Refused, Row};
use crate::config::Given;

mod product;

use product::Columns;

/// The products of a file.
pub(super) struct Shopify {
    rows: csv::StringRecordsIntoIter<File>,
    columns: Columns,
    mall: MallId,
    observed_at: Timestamp,
    /// The first row of the next product.
    next: Option<StringRecord>,
    handles: BTreeSet<String>,
    announced: BTreeSet<String>,
    ready: VecDeque<Row>,
}

impl Shopify {
    /// Opens a file.
    ///
    /// # Errors
    /// When it cannot be read, or lacks the columns that make it one.
    pub(super) fn open(file: &Path, given: &Given, mall: MallId) -> anyhow::Result<Self> {
        let opened = File::open(file).with_context(|| file.display().to_string())?;
        let observed_at = match given.value("observed-at") {
            Some(text) => text.parse().context("--observed-at")?,
            None => Timestamp(
                chrono::DateTime::<chrono::Utc>::from(opened.metadata()?.modified()?)
                    .timestamp_millis(),
            ),
        };
        let currency: Currency =
            given.value("currency").unwrap_or("USD").parse().context("--currency")?;
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(opened);
        let columns = Columns::of(reader.headers()?, currency)?;
        Ok(Self {
            rows: reader.into_records(),
            columns,
            mall,
            observed_at,
            next: None,
            handles: BTreeSet::new(),
            announced: BTreeSet::new(),
            ready: VecDeque::new(),
        })
    }

    /// The rows of the next product; they stand together.
    fn group(&mut self) -> Result<Option<Vec<StringRecord>>, csv::Error> {
        let mut group: Vec<StringRecord> = self.next.take().into_iter().collect();
        for row in self.rows.by_ref() {
            let row = row?;
            if row.iter().all(|field| field.trim().is_empty()) {
                continue;
            }
            let handle = |row: &StringRecord| self.columns.get(row, "Handle").to_owned();
            if group.first().is_some_and(|first| handle(first) != handle(&row)) {
                self.next = Some(row);
                break;
            }
            group.push(row);
        }
        Ok((!group.is_empty()).then_some(group))
    }

    fn take(&mut self, group: &[StringRecord]) {
        let Some(first) = group.first() else { return };
        let at = first.position().map_or(0, csv::Position::line);
        let last = group.last().and_then(StringRecord::position);
        let end = last.map_or(0, csv::Position::byte);
        let handle = self.columns.get(first, "Handle").to_owned();
        let refused = |code, reason: &str| Row::Refused(Refused::new(at, code, reason));
        if handle.is_empty() {
            return self.ready.push_back(refused("NO_HANDLE", "the row has no Handle"));
        }
        if !self.handles.insert(handle) {
            let reason = "the Handle stands in the file before, apart from these rows";
            return self.ready.push_back(refused("DUPLICATE_HANDLE", reason));
        }
        match self.columns.product(group) {
            Ok(mut product) => {
                product["brand_id"] = json!(self.brand(first, at, end));
                // What is left out stays as it is.
                if let Some(category) = self.category(first, at, end) {
                    product["category_ids"] = json!([category]);
                }
                let data = json!({"product": product, "observed_at": self.observed_at});
                let command = json!({"command": "upsert_product", "data": data});
                self.ready.push_back(Row::Line(Line::new(at, end, command, false)));
                let left_out = group.iter().flat_map(|row| self.columns.left_out(row));
                self.ready.extend(left_out.map(Row::LeftOut));
            }
            Err((code, reason)) => self.ready.push_back(refused(code, &reason)),
        }
    }

    fn brand(&mut self, row: &StringRecord, at: u64, end: u64) -> Option<BrandId> {
        let vendor = self.columns.get(row, "Vendor").to_owned();
        if vendor.is_empty() {
            return None;
        }
        let data = json!({"external_id": vendor, "name": vendor});
        self.announce(json!({"command": "register_brand", "data": data}), at, end);
        Some(BrandId::of(&self.mall, &vendor))
    }

    fn category(&mut self, row: &StringRecord, at: u64, end: u64) -> Option<CategoryId> {
        let path = self.columns.category(row).to_owned();
        let tree = CategoriesId::of(&self.mall);
        let mut parent: Option<CategoryId> = None;
        for name in path.split('>').map(str::trim).filter(|name| !name.is_empty()) {
            let data = json!({"parent_id": parent, "name": name});
            self.announce(json!({"command": "add_category", "data": data}), at, end);
            parent = Some(CategoryId::of(tree, parent, name));
        }
        parent
    }

    /// Sends what products refer to ahead of the first one.
    fn announce(&mut self, command: Value, at: u64, end: u64) {
        if self.announced.insert(command.to_string()) {
            self.ready.push_back(Row::Line(Line::new(at, end, command, false).implied()));
        }
    }
}

impl Iterator for Shopify {
    type Item = anyhow::Result<Row>;

    fn next(&mut self) -> Option<anyhow::Result<Row>> {
        while self.ready.is_empty() {
            match self.group() {
                Ok(Some(group)) => self.take(&group),
                Ok(None) => return None,
                Err(error) => return Some(Err(error.into())),
            }
        }
        self.ready.pop_front().map(Ok)
    }
}

/// Where each column stands; exports of other years have other ones.
type Places = HashMap<String, usize>;
