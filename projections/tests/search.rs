//! Search against a real OpenSearch, in an index of its own.
//!
//! `JANGBU_OPENSEARCH=http://127.0.0.1:9200 cargo test -p projections --test search -- --ignored`

use std::time::Instant;

use domain::{Currency, MallId, ProductId, Timestamp};
use projections::search::{
    Document, LONGEST_QUERY, Layout, Search, SearchError, Source, Versioned, Written,
};
use uuid::Uuid;

/// Name, description, options, SKU code.
const PRODUCTS: [(&str, &str, &[&str], &str); 14] = [
    ("무선청소기 V12", "가볍고 조용한 청소기입니다", &["색상", "빨강", "파랑"], "VC-12-RED"),
    ("로봇청소기 S9", "바닥을 스스로 닦는다", &["색상", "흰색"], "RB-9"),
    ("LG 코드제로 무선 청소기", "흡입력이 좋은", &[], "LG-CZ"),
    ("Cordless Vacuum Cleaner", "Light and quiet, 60 minutes", &["Colour", "Red"], "CVC-1"),
    ("Vacuum Flask 500 ml", "Keeps tea hot", &[], "VF-500"),
    ("김치냉장고 300L", "김치를 오래 보관합니다", &[], "KR-300"),
    ("여성용 운동화", "달리기에 편한 신발", &["사이즈", "240", "250"], "SH-W"),
    ("남성용 운동화", "달리기에 편한 신발", &["사이즈", "270", "280"], "SH-M"),
    ("반팔티셔츠", "면 100%", &["색상", "검정"], "TS-1"),
    ("노트북 거치대", "알루미늄", &[], "NB-ST"),
    ("갤럭시버즈 케이스", "실리콘", &[], "GB-C"),
    ("Children's Running Shoes", "For boys and girls", &["Size", "32"], "CH-RS"),
    ("유기농 사과 3kg", "달콤한 사과", &[], "AP-3"),
    ("사과식초", "유기농 사과로 만든 식초", &[], "VN-1"),
];

struct Trial {
    search: Search,
    mall: MallId,
}

impl Trial {
    /// An empty index under a name that nobody else has.
    async fn begin() -> Self {
        let url = std::env::var("JANGBU_OPENSEARCH").expect("JANGBU_OPENSEARCH is not set");
        let prefix = format!("trial-{}-", Uuid::now_v7().simple());
        let search = Search::new(&url).unwrap().with_prefix(&prefix);
        search.ensure_index(1, &source(), Layout::default()).await.unwrap();
        Self { search, mall: "demo".parse().unwrap() }
    }

    async fn filled() -> Self {
        let trial = Self::begin().await;
        let documents: Vec<_> =
            PRODUCTS.iter().enumerate().map(|(at, _)| versioned(document(at), 1)).collect();
        let bulk = trial.search.bulk(1, &documents).await.unwrap();
        assert_eq!(bulk.written, vec![Written::Indexed; PRODUCTS.len()]);
        trial.search.refresh().await.unwrap();
        trial
    }

    async fn names(&self, q: &str) -> Vec<String> {
        let page = self.search.query(&self.mall, q, 20).await.unwrap();
        assert_eq!(page.total, page.hits.len() as u64);
        page.hits.into_iter().map(|hit| hit.name).collect()
    }

    async fn end(self) {
        self.search.drop_index(1).await.unwrap();
    }
}

fn source() -> Source {
    Source { products: 1, topic_id: "trial".to_owned() }
}

fn versioned(document: Document, version: i64) -> Versioned {
    Versioned { document, version }
}

fn document(at: usize) -> Document {
    let (name, description, options, code) = PRODUCTS[at % PRODUCTS.len()];
    Document {
        id: ProductId(Uuid::from_u128(at as u128 + 1)),
        mall: "demo".parse().unwrap(),
        partner_id: None,
        external_id: None,
        name: name.to_owned(),
        description: description.to_owned(),
        options: options.iter().map(|&text| text.to_owned()).collect(),
        sku_codes: vec![code.to_owned()],
        list_price_minor: 19_900,
        currency: Currency::KRW,
        image: None,
        version: 1,
        registered_at: Timestamp(1_700_000_000_000),
        updated_at: Timestamp(1_700_000_000_000),
    }
}

#[tokio::test]
#[ignore = "needs an OpenSearch: set JANGBU_OPENSEARCH"]
async fn words_are_found_in_either_language() {
    let trial = Trial::filled().await;
    let expected: &[(&str, &[&str])] = &[
        ("청소기", &["LG 코드제로 무선 청소기", "로봇청소기 S9", "무선청소기 V12"]),
        ("무선청소기", &["LG 코드제로 무선 청소기", "무선청소기 V12"]),
        ("무선 청소기", &["LG 코드제로 무선 청소기", "무선청소기 V12"]),
        ("빨강 무선청소기", &["무선청소기 V12"]),
        ("무선청소기 v12", &["무선청소기 V12"]),
        ("vacuum cleaners", &["Cordless Vacuum Cleaner"]),
        ("VACUUM", &["Cordless Vacuum Cleaner", "Vacuum Flask 500 ml"]),
        ("children running shoe", &["Children's Running Shoes"]),
        ("냉장고", &["김치냉장고 300L"]),
        ("김치", &["김치냉장고 300L"]),
        ("운동화", &["남성용 운동화", "여성용 운동화"]),
        ("여성 운동화", &["여성용 운동화"]),
        ("티셔츠", &["반팔티셔츠"]),
        ("유기농 사과", &["사과식초", "유기농 사과 3kg"]),
        ("vc-12-red", &["무선청소기 V12"]),
        ("냉장고 운동화", &[]),
        ("vacuum -flask", &["Vacuum Flask 500 ml"]),
        ("name:vacuum OR *", &[]),
        ("\"} ] \\ {{*}}", &[]),
        ("   ", &[]),
        ("를", &[]),
    ];
    let mut wrong = Vec::new();
    for (q, names) in expected {
        let mut found = trial.names(q).await;
        found.sort();
        if found != *names {
            wrong.push(format!("{q:?}: {found:?}, not {names:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(trial.names("유기농").await[0], "유기농 사과 3kg", "a name weighs more");
    let other: MallId = "other".parse().unwrap();
    assert_eq!(trial.search.query(&other, "청소기", 20).await.unwrap().total, 0);
    let long = "가 ".repeat(LONGEST_QUERY);
    let refused = trial.search.query(&trial.mall, &long, 20).await;
    assert!(matches!(refused, Err(SearchError::Question(_))));
    trial.search.query(&trial.mall, &long[..LONGEST_QUERY], 20).await.unwrap();
    trial.end().await;
}

#[tokio::test]
#[ignore = "needs an OpenSearch: set JANGBU_OPENSEARCH"]
async fn an_older_document_never_replaces_a_newer_one() {
    let trial = Trial::begin().await;
    let named = |name: &str| Document { name: name.to_owned(), ..document(0) };
    let newer = versioned(named("new"), (1 << 48) + 7);
    for (sent, expected) in [
        (newer.clone(), Written::Indexed),
        (versioned(named("old"), (1 << 48) + 6), Written::Newer),
        (newer, Written::Newer),
    ] {
        assert_eq!(trial.search.bulk(1, &[sent]).await.unwrap().written, [expected]);
    }
    let ids = [document(0).id, document(1).id];
    let found = trial.search.fetch(1, &ids).await.unwrap();
    assert_eq!(found[&ids[0]], ((1 << 48) + 7, named("new")));
    assert_eq!(found.len(), 1);
    trial.end().await;
}

#[tokio::test]
#[ignore = "needs an OpenSearch: set JANGBU_OPENSEARCH"]
async fn a_document_that_is_refused_leaves_the_others_alone() {
    let trial = Trial::begin().await;
    // A keyword is at most 32,766 bytes.
    let broken = Document { external_id: Some("x".repeat(40_000)), ..document(1) };
    let documents = [versioned(document(0), 1), versioned(broken, 1), versioned(document(2), 1)];
    let written = trial.search.bulk(1, &documents).await.unwrap().written;
    assert_eq!((&written[0], &written[2]), (&Written::Indexed, &Written::Indexed));
    let Written::Refused(why) = &written[1] else { panic!("{written:?}") };
    assert!(why.contains("external_id"), "{why}");
    trial.end().await;
}

#[tokio::test]
#[ignore = "needs an OpenSearch: set JANGBU_OPENSEARCH"]
async fn an_index_is_made_once_and_its_alias_never_moved() {
    let trial = Trial::begin().await;
    let search = &trial.search;
    search.ensure_index(1, &source(), Layout::default()).await.unwrap();
    search.ensure_index(2, &source(), Layout::default()).await.unwrap();
    assert_eq!(search.live().await.unwrap(), Some(1));
    assert_eq!(search.source(2).await.unwrap(), Some(source()));
    assert_eq!(search.source(3).await.unwrap(), None);
    let other = Source { products: 2, ..source() };
    let refused = search.ensure_index(1, &other, Layout::default()).await;
    assert!(matches!(refused, Err(SearchError::OtherSource { .. })), "{refused:?}");
    let missing = search.bulk(3, &[versioned(document(0), 1)]).await;
    assert!(matches!(missing, Err(SearchError::Refused { status: 404, .. })), "{missing:?}");
    search.drop_index(2).await.unwrap();
    trial.end().await;
}

#[tokio::test]
#[ignore = "prints a rate"]
async fn bulk_rate() {
    let trial = Trial::begin().await;
    let documents: Vec<_> = (0..100_000).map(|at| versioned(document(at), 1)).collect();
    let begun = Instant::now();
    for documents in documents.chunks(5000) {
        trial.search.bulk(1, documents).await.unwrap();
    }
    let taken = begun.elapsed().as_secs_f64();
    trial.search.refresh().await.unwrap();
    assert_eq!(trial.search.count(1).await.unwrap(), 100_000);
    println!("100,000 documents in {taken:.1} s: {:.0}/s", 100_000.0 / taken);
    trial.end().await;
}
