//! Large values by simd-json, which is faster than [`read`](super::read::read) where a text is
//! long, and takes a part of what that takes, with the same meaning.

use simd_json::{Node, StaticNode};

use super::MAX_DEPTH;
use crate::value::{Map, Value};

/// Shorter texts gain nothing: see `codec/json/whole` of the benches.
pub(super) const WORTHWHILE: usize = 8 * 1024;

/// The one value of a text; `None` where the text has to be read by Ruby's rules, or is wrong.
pub(super) fn read(text: &str) -> Option<Value> {
    let mut bytes = text.as_bytes().to_vec();
    let tape = simd_json::to_tape(&mut bytes).ok()?;
    value(&mut tape.0.into_iter(), MAX_DEPTH)
}

fn value<'a>(nodes: &mut impl Iterator<Item = Node<'a>>, depth: usize) -> Option<Value> {
    Some(match nodes.next()? {
        Node::String(text) => Value::String(text.to_owned()),
        Node::Object { len, .. } => {
            let depth = depth.checked_sub(1)?;
            let mut entries = Vec::with_capacity(len);
            for _ in 0..len {
                let Node::String(key) = nodes.next()? else { return None };
                entries.push((key.to_owned(), value(nodes, depth)?));
            }
            Value::Map(entries.into_iter().collect::<Map>())
        }
        Node::Array { len, .. } => {
            let depth = depth.checked_sub(1)?;
            let items: Option<Vec<Value>> = (0..len).map(|_| value(nodes, depth)).collect();
            Value::Array(items?)
        }
        Node::Static(StaticNode::Null) => Value::Nil,
        Node::Static(StaticNode::Bool(value)) => Value::Bool(value),
        Node::Static(StaticNode::I64(value)) => value.into(),
        Node::Static(StaticNode::U64(value)) => value.into(),
        Node::Static(StaticNode::F64(value)) => value.into(),
    })
}
