//! What the values of a URL's parameters are, whatever the database.

use std::str::FromStr;

use super::host::Host;
use super::url::bad;
use crate::error::{Error, Result};

pub(crate) fn wrong(key: &str, advice: &'static str) -> Error {
    bad(format!("the value of {key} is not one of those it can have")).advice(advice)
}

pub(crate) fn number<T: FromStr>(key: &str, value: &str) -> Result<T> {
    value
        .trim()
        .parse()
        .map_err(|_| bad(format!("the value of {key} is not a number in its range")))
}

pub(crate) fn boolean(key: &str, value: &str) -> Result<bool> {
    match value {
        "1" | "true" | "on" | "yes" => Ok(true),
        "0" | "false" | "off" | "no" => Ok(false),
        _ => Err(wrong(key, "write true or false")),
    }
}

/// Nothing given is nothing set, as libpq has it.
pub(crate) fn some(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

/// What libpq takes as lists that go together.
#[derive(Default)]
pub(crate) struct Lists {
    hosts: String,
    addresses: String,
    ports: String,
}

impl Lists {
    pub(crate) fn set(&mut self, key: &str, value: &str) -> bool {
        let list = match key {
            "host" => &mut self.hosts,
            "hostaddr" => &mut self.addresses,
            "port" => &mut self.ports,
            _ => return false,
        };
        value.clone_into(list);
        true
    }

    /// One host for each name or address. A port that stands alone is for all.
    pub(crate) fn hosts(self, common: &mut Option<u16>) -> Result<Vec<Host>> {
        let split = |list: &str| -> Vec<String> {
            match list.is_empty() {
                true => Vec::new(),
                false => list.split(',').map(|item| item.trim().to_owned()).collect(),
            }
        };
        let names = split(&self.hosts);
        let addresses = split(&self.addresses);
        if !names.is_empty() && !addresses.is_empty() && names.len() != addresses.len() {
            return Err(bad("it has not as many values in hostaddr as in host"));
        }
        let port = |text: &String| match text.as_str() {
            "" => Ok(None),
            text => match number("port", text)? {
                0 => Err(bad("the value of port is not a number in its range")),
                port => Ok(Some(port)),
            },
        };
        let ports = split(&self.ports).iter().map(port).collect::<Result<Vec<_>>>()?;
        let count = names.len().max(addresses.len());
        if ports.len() > 1 && ports.len() != count {
            return Err(bad("it has not as many ports as hosts"));
        }
        if let [port] = ports[..] {
            *common = port;
        }
        let host = |index: usize| {
            let address = addresses.get(index).filter(|text| !text.is_empty());
            let address = address.map(|text| text.parse()).transpose();
            Ok(Host {
                name: names.get(index).cloned().unwrap_or_default(),
                address: address.map_err(|_| bad("the value of hostaddr is no IP address"))?,
                port: ports.get(index).copied().flatten().or(*common),
            })
        };
        (0..count).map(host).collect()
    }
}
