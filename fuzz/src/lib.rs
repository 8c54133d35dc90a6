//! What the targets do, so that it can be replayed without a fuzzer: the integration tests run
//! the seed corpora through the same functions.
//!
//! | decoder | target |
//! | --- | --- |
//! | base64, fast and portable | `base64` |
//! | Marshal: read, copied, deserialized, described | `marshal_read` |
//! | Marshal: written, described and composed | `marshal_write` |
//! | Marshal: changed keys spliced in | `marshal_splice` |
//! | JSON of the serializers `json` and `null` | `json` |
//! | `hybrid`, a session in a JSON string, descriptions made into data | `convert` |
//! | envelopes of encrypted data | `encrypted` |
//! | keys of encryption; Rails' flash, CSRF tokens, Warden's user | `rails` |
//! | ids; `Cookie` headers, their escapes, what is sent as `Set-Cookie`, the host's domain | `cookie` |
//! | database URLs and libpq's pairs | `url` |
//! | records of `tower-sessions` | `tower` |
//! | rows of SQLite, their times, and all that a store and a manager do | `store` |
//!
//! What servers send is decoded by the drivers; the lines and requests that the command line tool
//! takes are tested with it (`tests/integration/{admin,serve}`).

pub mod base64;
pub mod convert;
pub mod cookie;
pub mod encrypted;
pub mod json;
pub mod marshal;
pub mod rails;
pub mod store;
pub mod tower;
pub mod url;
