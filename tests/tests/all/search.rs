//! Search on a real OpenSearch, in indices of its own that nobody reads.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use domain::{
    Currency, MallId, ProductId, Timestamp,
    product::{Approval, SaleState},
};
use projections::{
    Checkpoint, Tables, checkpoint,
    search::{
        self, Document, LONGEST_QUERY, Layout, PROJECTION, Question, Search, SearchError, Sort,
        Source, Versioned, View, Written,
    },
};
use uuid::Uuid;

use crate::world::World;

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

/// What a shopper types, and the names found, sorted.
const EXPECTED: &[(&str, &[&str])] = &[
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

/// Words are found in either language, inside compounds, and never as operators.
pub(crate) async fn words_are_found_in_either_language(world: &mut World) -> Result<()> {
    let scene = Scene::filled(world).await?;
    for (q, names) in EXPECTED {
        let mut found = scene.names(q).await?;
        found.sort();
        ensure!(found == *names, "{q:?} finds {found:?}, not {names:?}");
    }
    let found = scene.names("유기농").await?;
    ensure!(found[0] == "유기농 사과 3kg", "a name weighs more than a description: {found:?}");
    let other: MallId = "other".parse()?;
    let of_other = Question { mall: other, ..scene.asking("청소기") };
    ensure!(scene.search.query(&of_other).await?.total == 0);
    let long: String = "가 ".repeat(LONGEST_QUERY);
    let refused = scene.search.query(&scene.asking(&long)).await;
    ensure!(matches!(refused, Err(SearchError::Question(_))), "{refused:?}");
    let long: String = long.chars().take(LONGEST_QUERY).collect();
    scene.search.query(&scene.asking(&long)).await?;
    scene.strike().await
}

/// Of two writers the one that read later wins, in whichever order they write.
pub(crate) async fn an_older_document_never_replaces_a_newer_one(world: &mut World) -> Result<()> {
    let scene = Scene::set(world).await?;
    let named = |name: &str| Document { name: name.to_owned(), ..document(0) };
    let newer = versioned(named("new"), (1 << 48) + 7);
    for (sent, expected) in [
        (newer.clone(), Written::Indexed),
        (versioned(named("old"), (1 << 48) + 6), Written::Newer),
        (newer, Written::Newer),
    ] {
        let written = scene.search.bulk(1, &[sent]).await?.written;
        ensure!(written == [expected], "{written:?}");
    }
    let ids = [document(0).id, document(1).id];
    let found = scene.search.fetch(1, &ids).await?;
    ensure!(found.len() == 1 && found[&ids[0]] == ((1 << 48) + 7, named("new")), "{found:?}");
    scene.strike().await
}

/// A document that the engine will never take does not hold the others up.
pub(crate) async fn a_refused_document_leaves_the_others_alone(world: &mut World) -> Result<()> {
    let scene = Scene::set(world).await?;
    // A keyword is at most 32,766 bytes.
    let broken = Document { external_id: Some("x".repeat(40_000)), ..document(1) };
    let documents = [versioned(document(0), 1), versioned(broken, 1), versioned(document(2), 1)];
    let written = scene.search.bulk(1, &documents).await?.written;
    let [Written::Indexed, Written::Refused(why), Written::Indexed] = &written[..] else {
        bail!("{written:?}")
    };
    ensure!(why.contains("external_id"), "{why}");
    scene.strike().await
}

/// An index belongs to one log and one read model; its alias is not moved by a second one.
pub(crate) async fn an_index_keeps_its_source_and_its_alias(world: &mut World) -> Result<()> {
    let scene = Scene::set(world).await?;
    let search = &scene.search;
    search.ensure_index(1, &source(), Layout::default()).await?;
    search.ensure_index(2, &source(), Layout::default()).await?;
    ensure!(search.live().await? == Some(1));
    ensure!(search.source(2).await? == Some(source()) && search.source(3).await?.is_none());
    for other in [Source::of((2, 1), "trial"), Source::of((1, 2), "trial"), Source::of((1, 1), "")]
    {
        let refused = search.ensure_index(1, &other, Layout::default()).await;
        ensure!(matches!(refused, Err(SearchError::OtherSource { .. })), "{refused:?}");
    }
    let missing = search.bulk(3, &[versioned(document(0), 1)]).await;
    ensure!(matches!(missing, Err(SearchError::Refused { status: 404, .. })), "{missing:?}");
    search.drop_index(2).await?;
    scene.strike().await
}

/// A look at the read model that is given up halfway leaves no connection in the past.
pub(crate) async fn a_look_given_up_leaves_no_old_moment(world: &mut World) -> Result<()> {
    const VERSION: i32 = 9100;
    let (pool, other) = (connect(world, 1).await?, connect(world, 1).await?);
    let tables = Tables::active(&other).await?;
    search::forget(&mut *other.acquire().await?, VERSION).await?;
    for round in 0..200 {
        let changes = [(0, vec![(0, ProductId(Uuid::nil()))])].into();
        let look = search::documents(&pool, &tables, &changes);
        // From not at all to the whole of it.
        let _ = tokio::time::timeout(Duration::from_micros(20 * round), look).await;
        let partition = i32::try_from(round)?;
        let first = Checkpoint::default();
        checkpoint::begin(&other, PROJECTION, VERSION, partition, &first).await?;
        let seen = checkpoint::read(&pool, PROJECTION, VERSION, partition).await?;
        ensure!(seen.is_some(), "round {round} reads the past");
    }
    Ok(search::forget(&mut *other.acquire().await?, VERSION).await?)
}

async fn connect(world: &World, connections: u32) -> Result<projections::Pool> {
    Ok(projections::connect(world.fleet.setting("JANGBU_MYSQL")?, connections).await?)
}

/// An index under a name that nobody else has.
struct Scene {
    search: Search,
    mall: MallId,
}

impl Scene {
    async fn set(world: &World) -> Result<Self> {
        let prefix = format!("trial-{}-", Uuid::now_v7().simple());
        let address = world.fleet.setting("JANGBU_OPENSEARCH")?;
        let search = Search::new(address)?.with_prefix(&prefix);
        search.ensure_index(1, &source(), Layout::default()).await?;
        Ok(Self { search, mall: "demo".parse()? })
    }

    async fn filled(world: &World) -> Result<Self> {
        let scene = Self::set(world).await?;
        let documents: Vec<_> = (0..PRODUCTS.len()).map(|at| versioned(document(at), 1)).collect();
        let written = scene.search.bulk(1, &documents).await?.written;
        ensure!(written == vec![Written::Indexed; PRODUCTS.len()], "{written:?}");
        scene.search.refresh(1).await?;
        Ok(scene)
    }

    fn asking(&self, q: &str) -> Question {
        let all = Question::all(self.mall.clone(), View::All, 20);
        Question { text: Some(q.to_owned()), sort: Sort::Relevance, ..all }
    }

    async fn names(&self, q: &str) -> Result<Vec<String>> {
        let page = self.search.query(&self.asking(q)).await.context(q.to_owned())?;
        ensure!(page.total == page.hits.len() as u64, "{page:?}");
        Ok(page.hits.into_iter().map(|hit| hit.name).collect())
    }

    async fn strike(self) -> Result<()> {
        Ok(self.search.drop_index(1).await?)
    }
}

fn source() -> Source {
    Source::of((1, 1), "trial")
}

fn versioned(document: Document, version: i64) -> Versioned {
    Versioned { document, version }
}

fn document(at: usize) -> Document {
    let (name, description, options, code) = PRODUCTS[at % PRODUCTS.len()];
    Document {
        id: ProductId(Uuid::from_u128(at as u128 + 1)),
        mall: "demo".parse().expect("a mall"),
        partner_id: None,
        external_id: None,
        name: name.to_owned(),
        description: description.to_owned(),
        options: options.iter().map(|&text| text.to_owned()).collect(),
        sku_codes: vec![code.to_owned()],
        brand_id: None,
        brand_name: None,
        category_ids: vec![],
        approval: Approval::Finished,
        sale_state: SaleState::OnSale,
        displayed: true,
        sale_starts_at: None,
        sale_ends_at: None,
        list_price_minor: 19_900,
        currency: Currency::KRW,
        image: None,
        version: 1,
        registered_at: Timestamp(1_700_000_000_000),
        updated_at: Timestamp(1_700_000_000_000),
    }
}
