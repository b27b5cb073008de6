//! The commands that change partners, brands and the category tree.

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::app::Shared;

/// The routes, except for those that share their path with a read.
pub(super) fn router() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(partners::suspend_partner))
        .routes(routes!(partners::reinstate_partner))
        .routes(routes!(brands::rename_brand))
        .routes(routes!(brands::retire_brand))
        .routes(routes!(brands::reinstate_brand))
        .routes(routes!(tree::rename_category))
        .routes(routes!(tree::move_category))
        .routes(routes!(tree::retire_category))
}

/// Of partners.
pub(super) mod partners {
    use domain::partner::{Command, ReinstatePartner, SuspendPartner};

    use crate::route::command_route;

    command_route! {
        /// Let a partner sell no longer, for the moment
        suspend_partner: SuspendPartner in InPath,
            "/partners/{id}/suspend", "suspend_partner", "partners"
    }

    command_route! {
        /// Let a partner sell again
        reinstate_partner: ReinstatePartner in InPath,
            "/partners/{id}/reinstate", "reinstate_partner", "partners"
    }
}

/// Of brands.
pub(super) mod brands {
    use domain::brand::{Command, ReinstateBrand, RenameBrand, RetireBrand};

    use crate::route::command_route;

    command_route! {
        /// Call a brand otherwise
        rename_brand: RenameBrand in InPath, "/brands/{id}/rename", "rename_brand", "brands"
    }

    command_route! {
        /// Offer a brand no longer
        ///
        /// Its products are sold on; no other may be sold under it.
        retire_brand: RetireBrand in InPath, "/brands/{id}/retire", "retire_brand", "brands"
    }

    command_route! {
        /// Offer a brand again
        reinstate_brand: ReinstateBrand in InPath, "/brands/{id}/reinstate", "reinstate_brand", "brands"
    }
}

/// Of the category tree.
pub(super) mod tree {
    use domain::categories::{AddCategory, Command, MoveCategory, RenameCategory, RetireCategory};

    use crate::route::command_route;

    command_route! {
        /// Add a category
        ///
        /// Without an id of its own, it gets one made of its parent and its name.
        add_category: AddCategory in TreeOfMall, "/categories", "add_category", "categories"
    }

    command_route! {
        /// Call a category otherwise
        rename_category: RenameCategory in TreeOfMall,
            "/categories/rename", "rename_category", "categories"
    }

    command_route! {
        /// Put a category, and all below it, elsewhere
        move_category: MoveCategory in TreeOfMall, "/categories/move", "move_category", "categories"
    }

    command_route! {
        /// Take a category out of use
        ///
        /// There must be none in use below it.
        retire_category: RetireCategory in TreeOfMall,
            "/categories/retire", "retire_category", "categories"
    }
}

/// Of what shoppers call things.
pub(super) mod words {
    use domain::synonyms::{Command, SetSynonyms};

    use crate::route::command_route;

    command_route! {
        /// Say which words mean the same
        ///
        /// The given groups replace all earlier ones. Searches know them at once.
        set_synonyms: SetSynonyms in SynonymsOfMall, "/synonyms", "set_synonyms", "synonyms"
    }
}
