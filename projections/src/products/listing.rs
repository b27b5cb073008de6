//! Products page by page, of whom and in which state is asked.

use domain::{
    BrandId, MallId, PartnerId, Timestamp,
    product::{Approval, SaleState},
};
use sqlx::{MySql, MySqlExecutor, QueryBuilder};

use super::{Cursor, ProductRow, Products, read};
use crate::{
    Page,
    directory::{Directory, EntryState},
    error::Error,
    projection::Projection,
    table::Tables,
};

/// Which products to list; those that are all of what is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Those of one seller only.
    pub partner: Option<PartnerId>,
    /// Those of one brand only.
    pub brand: Option<BrandId>,
    /// Those in one sale state only.
    pub sale_state: Option<SaleState>,
    /// Those that have come so far in their approval only.
    pub approval: Option<Approval>,
    /// Those that are displayed, or those that are hidden.
    pub displayed: Option<bool>,
    /// Those that a buyer may have at that moment, of no suspended partner.
    pub on_sale: Option<Timestamp>,
}

impl Filter {
    /// The index that finds the fewest rows in the order of registration. MySQL would at times
    /// rather read all of a mall in that order.
    fn index(&self) -> &'static str {
        match self {
            Self { brand: Some(_), .. } => "by_brand",
            Self { partner: Some(_), .. } => "by_partner",
            Self { sale_state: Some(_), .. } | Self { on_sale: Some(_), .. } => "by_state",
            _ => "by_mall",
        }
    }

    fn narrow(&self, query: &mut QueryBuilder<MySql>, tables: &Tables) -> Result<(), Error> {
        if let Some(brand) = self.brand {
            query.push(" AND brand_id = ").push_bind(brand.0.as_bytes().to_vec());
        }
        if let Some(partner) = self.partner {
            query.push(" AND partner_id = ").push_bind(partner.0.as_bytes().to_vec());
        }
        if let Some(state) = self.sale_state {
            query.push(" AND sale_state = ").push_bind(state.as_str());
        }
        if let Some(approval) = self.approval {
            query.push(" AND approval = ").push_bind(approval.as_str());
        }
        if let Some(displayed) = self.displayed {
            query.push(" AND displayed = ").push_bind(displayed);
        }
        self.on_sale.map_or(Ok(()), |now| on_sale(query, tables, now))
    }
}

/// What [`domain::product::Offer::is_on_sale`] says of a row, and that its partner may sell now.
fn on_sale(query: &mut QueryBuilder<MySql>, tables: &Tables, now: Timestamp) -> Result<(), Error> {
    query.push(" AND sale_state = ").push_bind(SaleState::OnSale.as_str());
    query.push(" AND approval = ").push_bind(Approval::Finished.as_str()).push(" AND displayed");
    query.push(" AND (sale_starts_at IS NULL OR sale_starts_at <= ").push_bind(now.0);
    query.push(") AND (sale_ends_at IS NULL OR sale_ends_at > ").push_bind(now.0);
    let directory = tables.table(Directory::NAME)?.to_string();
    query.push(") AND NOT EXISTS (SELECT 1 FROM ").push(directory);
    query.push(" partner WHERE partner.entry_key = partner_id AND partner.state = ");
    query.push_bind(EntryState::Suspended.as_str()).push(")");
    Ok(())
}

/// At most `limit` products of `mall`, in the order of their registration, beginning after `after`.
/// A product keeps its place in that order for ever, so no page skips or repeats one.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub async fn page(
    db: impl MySqlExecutor<'_>,
    tables: &Tables,
    mall: &MallId,
    filter: &Filter,
    after: Option<Cursor>,
    limit: u32,
) -> Result<Page<ProductRow, Cursor>, Error> {
    let table = tables.table(Products::NAME)?.to_string();
    let after = after.unwrap_or(Cursor::START);
    let mut query = QueryBuilder::new("SELECT * FROM ");
    query.push(table).push(" product FORCE INDEX (").push(filter.index());
    query.push(") WHERE mall = ").push_bind(mall.as_str());
    filter.narrow(&mut query, tables)?;
    // MySQL does not use an index for the row comparison; the plain one beside it is for that.
    query.push(" AND (registered_at, product.id) > (").push_bind(after.registered_at.0);
    query.push(", ").push_bind(after.id.0.as_bytes().to_vec());
    query.push(") AND registered_at >= ").push_bind(after.registered_at.0);
    query.push(" ORDER BY registered_at, product.id LIMIT ").push_bind(u64::from(limit) + 1);
    let rows = query.build().fetch_all(db).await?;
    let rows = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    Ok(Page::cut(rows, limit, |row| Cursor { registered_at: row.registered_at, id: row.id }))
}

/// How many products a brand has in `mall`, and how many of them come no later than `upto`; for
/// processes, never for a request.
///
/// # Errors
/// [`Error`] when the server refuses or does not answer.
pub(crate) async fn count_of_brand(
    db: impl MySqlExecutor<'_>,
    tables: &Tables,
    mall: &MallId,
    brand: BrandId,
    upto: Option<Cursor>,
) -> Result<(u64, u64), Error> {
    let (table, upto) = (tables.table(Products::NAME)?.to_string(), upto.unwrap_or(Cursor::START));
    let mut query = QueryBuilder::new("SELECT COUNT(*), COUNT(CASE WHEN (registered_at, id) <= (");
    query.push_bind(upto.registered_at.0).push(", ").push_bind(upto.id.0.as_bytes().to_vec());
    query.push(") THEN 1 END) FROM ").push(table).push(" WHERE mall = ").push_bind(mall.as_str());
    query.push(" AND brand_id = ").push_bind(brand.0.as_bytes().to_vec());
    let (all, passed): (i64, i64) = query.build_query_as().fetch_one(db).await?;
    Ok((all.unsigned_abs(), passed.unsigned_abs()))
}
