//! Reading Ruby's Marshal format 4.8 where it lies.
//!
//! It is here and not with the codec because a [`ValueRef`](super::ValueRef) reads it lazily.
//! Nothing is ever instantiated: an object is bytes with a class name.
//!
//! `scan` checks bytes once, `source` keeps them with the places that links lead to, `reader`
//! reads values out of them, `tree` and `de` turn those into owned values and serde's, and `copy`
//! moves values into another dump.

pub(crate) mod copy;
mod de;
pub(crate) mod moment;
pub(crate) mod out;
pub(crate) mod reader;
pub(crate) mod scan;
pub(crate) mod source;
mod tree;

use serde::de::DeserializeOwned;

use self::reader::{Reader, Stop};
use self::source::Source;
use super::{Object, Value};
use crate::error::{Error, Result};

/// A value in checked bytes.
#[derive(Clone, Copy)]
pub(crate) struct Node<'a> {
    pub(crate) source: &'a Source,
    pub(crate) at: usize,
}

impl<'a> Node<'a> {
    /// The value on its own. What has no plain form (objects, values that contain themselves)
    /// stays as inert bytes.
    pub(crate) fn to_value(self) -> Result<Value> {
        tree::value(self).map_err(|stop| misread("reading a session value", stop))
    }

    /// The value as a dump of its own, links and all.
    pub(crate) fn to_object(self) -> Result<Object> {
        // A link stands for what it leads to.
        let item = Reader::new(self.source, self.at).glance();
        let item = item.map_err(|stop| misread("reading a session value", stop))?;
        Ok(Object::parse(copy::Copier::extract(self.source, item.start)?)?)
    }

    pub(crate) fn deserialize<T: DeserializeOwned>(self) -> Result<T> {
        T::deserialize(&mut Reader::new(self.source, self.at)).map_err(|stop| match stop {
            Stop::Misfit => Error::value(
                "reading a session value",
                format!("the stored value does not fit {}", std::any::type_name::<T>()),
            ),
            stop => misread("reading a session value", stop),
        })
    }

    /// The text that lies in the bytes.
    pub(crate) fn as_str(self) -> Option<&'a str> {
        match Reader::new(self.source, self.at).glance().ok()?.head {
            reader::Head::Str(text) | reader::Head::Symbol(text) => text.as_str(),
            _ => None,
        }
    }
}

pub(crate) fn misread(doing: &'static str, stop: Stop) -> Error {
    match stop {
        Stop::Fault(fault) => fault.into(),
        Stop::Deep => Error::value(doing, "the value nests too deep, or within itself"),
        Stop::Large => Error::value(doing, "the value is far larger than its bytes"),
        Stop::Misfit => Error::value(doing, "the value does not fit"),
    }
}

impl From<scan::Fault> for Error {
    fn from(fault: scan::Fault) -> Self {
        Error::decode("marshal", Some(fault.at), fault.problem())
    }
}
