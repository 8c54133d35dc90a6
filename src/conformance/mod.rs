//! The proof of a store: one case for each line of the contract of [`Store`] and [`Maintenance`].
//!
//! A store's author writes a [`Fixture`] and names it in
//! [`conformance_tests!`](crate::conformance_tests); each case then runs as a test of its own.
//! Groups that need something of the table are named one by one:
//!
//! | group | holds for |
//! | --- | --- |
//! | `store` | every store: find, save, destroy, touch |
//! | `races` | every store: concurrent tasks, logout against the rest, dropped futures |
//! | `manager` | every store: what a [`SessionManager`](crate::SessionManager) makes of it |
//! | `merges` | every store: requests that meet in one session |
//! | `merged_keys` | every store: keys with a merge of their own |
//! | `late` | every store: changes that come after their session's end |
//! | `rotation` | every store: parallel requests that bear the id from before |
//! | `times` | a table with `created_at` and `updated_at`: timeouts, touch, restart |
//! | `expiry` | a table with `expires_at` |
//! | `any_bytes` | a data column that takes any bytes, up to 1 MiB |
//! | `maintenance` | a [`Maintenance`] store |
//! | `maintenance_times` | a [`Maintenance`] store whose table has the times |
//! | `users` | a [`Maintenance`] store: the sessions of a user |
//! | `user_column` | the same on a table with the column of users |
//!
//! The environment variable `SQLBYPASS_RACES` is how often a logout races the others; 30 or 200
//! times by default, 10,000 in the long proof of this crate's own stores. Each is some ten writes, so
//! it takes as long as your disk does.
//!
//! # Examples
//!
//! ```
//! use std::time::Duration;
//! use sqlbypass::conformance::{Fixture, RawRow};
//! # use sqlbypass::{Expiry, Lookup, Record, Result, Save, Saved, Store, StoredId, Timeouts};
//! # struct MyStore;
//! # impl MyStore {
//! #     async fn fresh() -> Self { Self }
//! #     async fn raw_insert(&self, _: &str, _: Option<&[u8]>) {}
//! #     async fn raw_rows(&self) -> Vec<RawRow> { Vec::new() }
//! #     async fn raw_age(&self, _: &str, _: Duration) {}
//! #     fn clone(&self) -> Self { Self }
//! # }
//! # impl Store for MyStore {
//! #     async fn find(&self, _: &Lookup) -> Result<Option<Record>> { Ok(None) }
//! #     async fn save(&self, _: &Save) -> Result<Saved> { Ok(Saved::Gone) }
//! #     async fn destroy(&self, _: &Lookup) -> Result<bool> { Ok(false) }
//! #     async fn touch(&self, _: &StoredId, _: Timeouts) -> Result<bool> { Ok(false) }
//! # }
//!
//! /// What the cases need beside the store: a way round it.
//! struct MyFixture(MyStore);
//!
//! impl Fixture for MyFixture {
//!     type Store = MyStore;
//!
//!     async fn open() -> (Self, MyStore) {
//!         let store = MyStore::fresh().await;
//!         (Self(store.clone()), store)
//!     }
//!
//!     async fn put(&self, id: &str, data: Option<&[u8]>) {
//!         self.0.raw_insert(id, data).await;
//!     }
//!
//!     async fn rows(&self) -> Vec<RawRow> {
//!         self.0.raw_rows().await
//!     }
//!
//!     async fn age(&self, id: &str, by: Duration) {
//!         self.0.raw_age(id, by).await;
//!     }
//! }
//!
//! mod my_store {
//!     use super::MyFixture;
//!     // Those that hold for every store, and `times`.
//!     sqlbypass::conformance_tests!(
//!         MyFixture: store, races, manager, merges, merged_keys, late, rotation, times
//!     );
//! }
//! # fn main() {}
//! ```
// A case fails by panicking.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc)]

pub mod any_bytes;
mod counting;
pub mod expiry;
pub mod late;
pub mod maintenance;
pub mod maintenance_times;
mod managed;
pub mod manager;
pub mod merged_keys;
pub mod merges;
pub mod races;
pub mod rotation;
pub mod store;
mod support;
pub mod times;
pub mod user_column;
pub mod users;

use std::future::Future;
use std::time::Duration;

pub use counting::{Calls, Counting};

use crate::store::{Maintenance, Store};

/// What the author of a store supplies: fresh stores, and ways round them.
///
/// The hooks may panic; a case that cannot be set up has failed.
pub trait Fixture: Send + Sync + Sized + 'static {
    /// The store that is proved.
    type Store: Store;

    /// A fresh store on an empty table, and the hooks of that table.
    fn open() -> impl Future<Output = (Self, Self::Store)> + Send;

    /// Puts a row into the table as it stands: any text as its id, `None` for NULL, and times of
    /// now where the table has them.
    fn put(&self, id: &str, data: Option<&[u8]>) -> impl Future<Output = ()> + Send;

    /// All rows as they stand, in any order.
    fn rows(&self) -> impl Future<Output = Vec<RawRow>> + Send;

    /// Makes the row of exactly this id look so much older: every time column it has, `expires_at`
    /// included, moves back by that. Nothing is asked of it on a table without times.
    fn age(&self, id: &str, by: Duration) -> impl Future<Output = ()> + Send;

    /// How the data column gives these data back. As they were written, unless the database
    /// normalises them, as PostgreSQL's `jsonb` does; the group `store` is not for such a column.
    fn stored_form(data: &str) -> String {
        data.to_owned()
    }
}

/// A row as it stands: the id column's text and the data column's bytes, `None` for NULL.
pub type RawRow = (String, Option<Vec<u8>>);

/// Makes a test of every case of these groups for a [`Fixture`]; see [`conformance`](self).
///
/// The crate that uses it needs tokio with `macros` and `rt-multi-thread`.
#[macro_export]
macro_rules! conformance_tests {
    (@store $fixture:ty) => { $crate::conformance_tests! { @cases store $fixture:
        a_missing_id_finds_nothing
        a_row_is_found_as_it_was_inserted
        null_data_is_a_row_without_data
        a_legacy_row_is_found_only_when_asked_for
        of_two_rows_the_private_one_is_found
        ids_are_compared_byte_by_byte
        legacy_ids_are_compared_byte_by_byte
        a_raw_id_of_another_shape_finds_nothing
        an_insert_onto_a_taken_id_is_a_duplicate
        an_update_writes_one_row
        an_update_of_a_missing_row_is_gone
        an_update_without_data_keeps_it
        a_guard_lets_through_what_it_names
        a_guard_holds_back_what_it_does_not_name
        a_guard_tells_null_from_data
        a_guard_compares_byte_by_byte
        a_rekey_moves_the_row
        a_rekey_may_keep_the_data
        a_guarded_rekey_moves_the_row_or_nothing
        a_rekey_onto_a_taken_id_is_a_duplicate
        a_rekey_secures_a_legacy_row
        a_rekeyed_row_is_dead_under_its_old_id
        destroy_says_whether_a_row_was_there
        destroy_removes_the_row_under_either_id
        destroy_without_a_legacy_id_leaves_raw_rows
        a_destroyed_row_is_never_revived
        touch_says_whether_the_row_is_there
    } };
    (@races $fixture:ty) => { $crate::conformance_tests! { @cases races $fixture:
        one_guarded_update_wins_each_generation
        one_insert_wins
        one_rekey_wins
        a_logout_is_final
        dropped_updates_leave_rows_whole
        an_update_is_one_step
        dropped_inserts_and_destroys_leave_rows_whole
    } };
    (@manager $fixture:ty) => { $crate::conformance_tests! { @cases manager $fixture:
        a_new_session_costs_one_save
        an_untouched_session_costs_nothing
        a_read_or_an_equal_write_costs_one_find
        handles_share_one_find
        a_change_costs_one_find_and_one_save
        a_renewal_costs_one_find_and_one_save
        a_stale_cookie_costs_one_find_and_no_row
        an_unknown_id_is_never_adopted
        null_data_is_an_empty_session_of_its_row
        nil_values_are_dropped
        nested_edits_are_seen
        the_session_id_is_virtual
        without_the_fallback_raw_rows_are_nobodys
        a_plain_read_secures_a_legacy_row
        destroy_ends_the_session_under_either_id
        a_new_id_leaves_no_raw_row_behind
        a_destroyed_session_that_is_written_to_begins_anew
        undecodable_data_is_left_alone
        undecodable_data_can_be_replaced
        a_committed_session_cannot_be_changed
    } };
    (@merges $fixture:ty) => { $crate::conformance_tests! { @cases merges $fixture:
        writers_of_different_keys_lose_none
        writers_to_a_legacy_row_lose_none
        last_write_wins_erases
        reject_writes_nothing
        a_merge_ends_by_the_deadline
        clear_is_never_merged
        reset_is_never_merged
        a_renewal_keeps_data_and_merges
        a_logout_is_final_for_every_request
        a_renewal_of_a_gone_row_carries_nothing_forward
        a_reset_of_a_gone_row_begins_anew
        a_change_of_a_gone_row_is_gone
        a_reset_ends_a_legacy_session_that_was_secured_meanwhile
    } };
    (@merged_keys $fixture:ty) => { $crate::conformance_tests! { @cases merged_keys $fixture:
        a_key_that_a_request_left_as_it_was_stays_the_others
        a_merge_sees_three_values
        a_merge_may_refuse
        a_merge_is_not_asked_without_need
        counters_add_up
        carts_keep_what_each_added
    } };
    (@late $fixture:ty) => { $crate::conformance_tests! { @cases late $fixture:
        a_late_change_writes_nothing_unless_it_may_begin_anew
        a_late_change_may_begin_a_new_session
        a_new_session_holds_nothing_of_before
        what_cannot_begin_anew_is_refused
        a_late_login_may_begin_a_new_session
        late_writers_revive_nothing
        late_writers_follow_no_renewal
    } };
    (@rotation $fixture:ty) => { $crate::conformance_tests! { @cases rotation $fixture:
        without_a_grace_the_old_id_is_dead
        a_parallel_request_reads_what_was_before
        what_was_before_cannot_be_changed
        a_login_has_no_grace
        a_login_ends_the_grace_of_before
        a_logout_ends_the_grace
        a_logout_under_the_old_id_ends_the_session
        a_slow_logout_under_the_old_id_ends_the_session
        a_reset_under_the_old_id_ends_the_session
        keys_removed_since_are_not_shown
        a_logout_reaches_a_session_whose_grace_has_ended
        the_grace_ends_by_itself
        earlier_ids_follow_a_rotation
        only_one_process_has_the_grace
        a_rotation_that_fails_leaves_no_grace
    } };
    (@times $fixture:ty) => { $crate::conformance_tests! { @cases times $fixture:
        an_insert_begins_the_session_now
        an_update_sets_updated_at_alone
        an_update_that_is_no_use_leaves_the_times
        a_restart_sets_created_at
        a_rekey_keeps_created_at
        a_touch_sets_updated_at_alone
        an_idle_session_has_expired
        a_session_past_its_lifetime_has_expired
        an_expired_legacy_row_is_not_found
        a_touch_puts_the_idle_timeout_off
        a_restart_begins_a_new_lifetime
        an_idle_session_is_touched_once_per_interval
        requests_that_meet_touch_once
        a_touch_that_failed_is_made_up_for
        an_expired_session_is_never_carried_on
        a_session_that_expires_on_its_way_may_begin_anew
        an_expired_session_has_no_grace
        an_expired_session_is_not_replaced_by_a_raw_row
    } };
    (@expiry $fixture:ty) => { $crate::conformance_tests! { @cases expiry $fixture:
        a_row_lives_until_its_expiry
        an_expired_row_keeps_its_id
        an_update_keeps_moves_or_ends_the_expiry
    } };
    (@any_bytes $fixture:ty) => { $crate::conformance_tests! { @cases any_bytes $fixture:
        data_of_any_bytes_comes_back
        empty_data_is_not_null
        a_guard_compares_any_bytes
    } };
    (@maintenance $fixture:ty) => { $crate::conformance_tests! { @cases maintenance $fixture:
        create_leaves_a_table_alone
        inspect_finds_the_table
        scan_walks_the_rows_in_pages
        scan_reads_data_when_asked
        row_is_read_by_its_key
        delete_removes_the_rows_named
        rekey_needs_the_id_it_was_read_with
        rekey_onto_a_taken_id_is_a_duplicate
        clear_counts_the_rows
        delete_alone_deletes_too
        many_rows_are_rekeyed_at_once
        many_rows_are_saved_at_once
        count_counts_the_rows
    } };
    (@maintenance_times $fixture:ty) => { $crate::conformance_tests! {
        @cases maintenance_times $fixture:
        scan_filters_by_age
        delete_checks_the_filter_again
        rekey_leaves_the_times_alone
    } };
    (@users $fixture:ty) => { $crate::conformance_tests! { @cases users $fixture:
        the_sessions_of_a_user_are_listed
        one_session_is_ended
        all_other_sessions_are_ended
        all_but_a_row_are_ended
        all_sessions_of_a_user_are_ended
        a_row_that_has_changed_is_not_ended
        a_row_that_has_become_anothers_stays
        sessions_in_use_are_ended
        logins_that_meet_the_end_are_before_or_after
        without_the_function_nobody_is_found
    } };
    (@user_column $fixture:ty) => { $crate::conformance_tests! { @cases user_column $fixture:
        inspect_finds_the_column
        saves_write_or_keep_the_owner
        scan_reads_the_rows_of_an_owner
        saves_that_meet_write_each_its_own
        commits_keep_the_owner_in_step
        a_row_ends_while_it_is_the_users
        the_data_decide_before_the_column
        the_column_is_filled_from_the_data
        a_backfill_writes_beside_live_traffic
    } };
    (@cases $group:ident $fixture:ty: $($case:ident)*) => {
        mod $group {
            #[allow(unused_imports)]
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $case() {
                    $crate::conformance::$group::$case::<$fixture>().await;
                }
            )*
        }
    };
    (@$group:ident $fixture:ty) => {
        compile_error!(concat!(
            "conformance_tests! has no group `",
            stringify!($group),
            "`: sqlbypass::conformance lists them"
        ));
    };
    ($fixture:ty: $($group:ident),+ $(,)?) => {
        $($crate::conformance_tests! { @$group $fixture })+
    };
}

/// A fixture whose store does maintenance too.
pub trait MaintenanceFixture: Fixture<Store: Maintenance> {}

impl<F: Fixture<Store: Maintenance>> MaintenanceFixture for F {}

#[cfg(test)]
mod tests {
    /// The macro names each case, and the cases are each named: one that is forgotten proves
    /// nothing.
    #[test]
    fn every_case_is_in_the_macro() {
        let this = include_str!("mod.rs");
        let groups = [
            ("store", include_str!("store.rs")),
            ("races", include_str!("races.rs")),
            ("manager", include_str!("manager.rs")),
            ("merges", include_str!("merges.rs")),
            ("merged_keys", include_str!("merged_keys.rs")),
            ("late", include_str!("late.rs")),
            ("rotation", include_str!("rotation.rs")),
            ("times", include_str!("times.rs")),
            ("expiry", include_str!("expiry.rs")),
            ("any_bytes", include_str!("any_bytes.rs")),
            ("maintenance", include_str!("maintenance.rs")),
            ("maintenance_times", include_str!("maintenance_times.rs")),
            ("users", include_str!("users.rs")),
            ("user_column", include_str!("user_column.rs")),
        ];
        for (group, source) in groups {
            let (_, list) = this.split_once(&format!("@cases {group} $fixture:")).unwrap();
            let (list, _) = list.split_once('}').unwrap();
            let named: Vec<&str> = list.split_whitespace().collect();
            let written: Vec<&str> = source
                .lines()
                .filter_map(|line| line.strip_prefix("pub async fn ")?.split('<').next())
                .collect();
            assert_eq!(named, written, "group {group}");
        }
    }
}
