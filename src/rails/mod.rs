//! The session keys that Rails itself, Devise and Warden use, as plain values to read and write.

mod csrf;
mod flash;
mod warden;

pub use csrf::CsrfToken;
pub use flash::Flash;
pub use warden::WardenUser;
