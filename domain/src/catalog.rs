//! The catalog: what a mall sells, of whom, under which brands and in which categories.
//!
//! Each aggregate decides on its own history alone. That a named partner, brand or category exists
//! is a courtesy of the API, and reads join current states.

use crate::{brand, categories, partner, product};

context! {
    Product(product::Product),
    Partner(partner::Partner),
    Brand(brand::Brand),
    Categories(categories::Categories),
}
