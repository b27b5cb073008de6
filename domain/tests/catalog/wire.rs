//! Every record goes over Avro and comes back, under a name and a schema that may grow.

use std::collections::BTreeSet;

use apache_avro::{
    Schema, reader::datum::GenericDatumReader, schema_compatibility::SchemaCompatibility,
    writer::datum::GenericDatumWriter,
};
use domain::{
    Currency, Money, PartnerId, RecordEnum, RecordReader, RecordWriter, SkuId, Timestamp,
    catalog::{Command, Event},
    product::{
        self, Approval, NewSku, ProductOption, ProductSaleScheduled, RegisterProduct, SalePeriod,
        SaleState, UpsertProduct,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use uuid::Uuid;

struct Encoder<'s>(&'s Schema);

impl RecordWriter for Encoder<'_> {
    type Output = Vec<u8>;

    fn write<T: Serialize>(self, _: &'static str, record: &T) -> Vec<u8> {
        let mut bytes = Vec::new();
        let writer = GenericDatumWriter::builder(self.0).human_readable(false).build().unwrap();
        writer.write_ser(&mut bytes, record).unwrap();
        bytes
    }
}

struct Decoder<'s>(&'s Schema, &'s [u8]);

impl RecordReader for Decoder<'_> {
    type Error = apache_avro::Error;

    fn read<T: DeserializeOwned>(&self) -> Result<T, apache_avro::Error> {
        let reader = GenericDatumReader::builder(self.0).human_readable(false).build()?;
        reader.read_deser(&mut &*self.1)
    }
}

fn name_of(schema: &Schema) -> String {
    schema.name().unwrap().fullname(None)
}

#[track_caller]
fn survives<R: RecordEnum + PartialEq + std::fmt::Debug>(record: &R) {
    let schemas = R::schemas();
    let schema = schemas.iter().find(|schema| name_of(schema) == record.record_name()).unwrap();
    let bytes = record.write(Encoder(schema));
    let read = R::read(record.record_name(), &Decoder(schema, &bytes)).unwrap().unwrap();
    assert_eq!(read, *record);
}

fn product(is_full: bool) -> RegisterProduct {
    let price = Money { minor: 1, currency: Currency::KRW };
    let id = Uuid::from_u128(5);
    RegisterProduct {
        partner_id: is_full.then_some(PartnerId(id)),
        external_id: is_full.then(|| "7".into()),
        name: "V12".into(),
        description: String::new(),
        options: vec![ProductOption { name: "색상".into(), values: vec!["흰색".into()] }],
        skus: vec![NewSku {
            code: "W".into(),
            choices: vec!["흰색".into()],
            price: is_full.then_some(price),
        }],
        list_price: price,
        images: vec![],
        brand_id: is_full.then_some(domain::BrandId(id)),
        category_ids: if is_full { vec![domain::CategoryId(id)] } else { vec![] },
        sale_period: is_full.then_some(SalePeriod { starts_at: Some(Timestamp(5)), ends_at: None }),
        approval: is_full.then_some(Approval::ApprovalReady),
        sale_state: is_full.then_some(SaleState::OnSale),
        displayed: is_full.then_some(true),
    }
}

#[test]
fn commands_come_back_as_they_were() {
    for is_full in [true, false] {
        let product = product(is_full);
        survives(&Command::from(product::Command::from(product.clone())));
        let observed_at = is_full.then_some(Timestamp(1_700_000_000_000));
        survives(&Command::from(product::Command::from(UpsertProduct { product, observed_at })));
    }
    survives(&Command::from(product::Command::from(product::HideProduct {})));
    let wish = product::RepriceSku { sku_id: SkuId(Uuid::from_u128(1)), price: None };
    survives(&Command::from(product::Command::from(wish)));
}

#[test]
fn events_come_back_as_they_were() {
    let period = SalePeriod { starts_at: None, ends_at: Some(Timestamp(-1)) };
    for sale_period in [None, Some(period)] {
        survives(&Event::from(product::Event::from(ProductSaleScheduled { sale_period })));
    }
    survives(&Event::from(domain::brand::Event::from(domain::brand::BrandRetired {})));
    let fact = product::ProductApprovalChanged { approval: Approval::Finished, reason: None };
    survives(&Event::from(product::Event::from(fact)));
}

#[test]
fn a_record_has_a_name_of_its_own() {
    let schemas = [Command::schemas(), Event::schemas()].concat();
    let names: BTreeSet<String> = schemas.iter().map(name_of).collect();
    assert_eq!(names.len(), schemas.len());
    assert!(names.iter().all(|name| name.starts_with("jangbu.catalog.")));
    assert!(Command::read("jangbu.catalog.Other", &Decoder(&Schema::Null, &[])).is_none());
}

#[test]
fn a_state_is_text_in_json_and_listed_in_the_description() {
    assert_eq!(json!(SaleState::OnSale), "ONSALE");
    assert!(serde_json::from_value::<SaleState>(json!("OnSale")).is_err());
    let described = serde_json::to_value(<Approval as utoipa::PartialSchema>::schema()).unwrap();
    assert_eq!(described["enum"], json!(Approval::ALL));
}

/// Takes the fields away that the records of the first release did not have.
fn first_release(schema: &Schema) -> Schema {
    let new = ["brand_id", "category_ids", "sale_period", "approval", "sale_state", "displayed"];
    let mut text: Value = serde_json::to_value(schema).unwrap();
    let fields = text["fields"].as_array_mut().unwrap();
    fields.retain(|field| !new.contains(&field["name"].as_str().unwrap()));
    Schema::parse(&text).unwrap()
}

/// `RegisterProduct` as it was then.
#[derive(Serialize)]
struct FirstRelease {
    partner_id: Option<PartnerId>,
    external_id: Option<String>,
    name: String,
    description: String,
    options: Vec<ProductOption>,
    skus: Vec<NewSku>,
    list_price: Money,
    images: Vec<String>,
}

#[test]
fn a_registration_of_the_first_release_is_still_read() {
    for (schemas, name) in [
        (product::Command::schemas(), "jangbu.catalog.RegisterProduct"),
        (product::Event::schemas(), "jangbu.catalog.ProductRegistered"),
    ] {
        let schema = schemas.iter().find(|schema| name_of(schema) == name).unwrap();
        SchemaCompatibility::mutual_read(&first_release(schema), schema).unwrap();
    }
    let schemas = product::Command::schemas();
    let old = first_release(&schemas[0]);
    let now = product(false);
    let before = FirstRelease {
        partner_id: now.partner_id,
        external_id: now.external_id.clone(),
        name: now.name.clone(),
        description: now.description.clone(),
        options: now.options.clone(),
        skus: now.skus.clone(),
        list_price: now.list_price,
        images: now.images.clone(),
    };
    let bytes = Encoder(&old).write("", &before);
    let read = product::Command::read(&name_of(&old), &Decoder(&old, &bytes)).unwrap().unwrap();
    assert_eq!(read, product::Command::from(now));
}
