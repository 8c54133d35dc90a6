//! A row of `sessions`, as Rails' migration makes the table.

use std::fmt;

use sea_orm::entity::prelude::*;

/// A session. `Debug` shows neither id nor data.
#[derive(Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sessions")]
pub struct Model {
    /// The primary key.
    #[sea_orm(primary_key)]
    pub id: i64,
    /// The private id, or a raw one of gem 1.x.
    #[sea_orm(unique)]
    pub session_id: String,
    /// The encoded session; `None` for NULL, which is an empty one.
    #[sea_orm(column_type = "Text", nullable)]
    pub data: Option<String>,
    /// When the session began, in UTC.
    pub created_at: DateTime,
    /// When it was last saved or touched, in UTC.
    pub updated_at: DateTime,
}

/// There are none.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl fmt::Debug for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model")
            .field("id", &self.id)
            .field("data_len", &self.data.as_ref().map(String::len))
            .field("created_at", &self.created_at)
            .field("updated_at", &self.updated_at)
            .finish_non_exhaustive()
    }
}
