//! What is different from request to request: the domain by its host, the rest by a function; and
//! the rules that each request's options are held to.

use std::sync::Arc;

use http::header::HOST;
use http::request::Parts;

use super::text::attribute;
use super::{CookieOptions, SessionOptions};
use crate::error::{Error, Result};

/// Nothing by default, and then a request costs nothing for it.
#[derive(Clone, Default)]
pub(super) struct ByRequest {
    domain: Option<Domain>,
    adjust: Option<Arc<Adjust>>,
}

type Adjust = dyn Fn(&Parts, &mut SessionOptions) + Send + Sync;

/// Which domain a host's cookie is for, as Rails' cookie jar says it.
#[derive(Clone)]
enum Domain {
    /// The host's last labels: so many, or as many as a registered name seems to have.
    All(Option<usize>),
    /// The first of these that the host is or ends in.
    Among(Arc<[Box<str>]>),
}

impl CookieOptions {
    /// Sends the cookie to all hosts of the request's domain, as `domain: :all` in Rails.
    ///
    /// The domain is the host's last `tld_length` labels; without a length the last two, or three
    /// where the host ends like `.co.uk`. An address and a host of one label have none: the cookie
    /// is for this host alone then. The host is that of the request's line, else of its `Host`
    /// header; behind a proxy that changes both use [`per_request`](Self::per_request).
    pub fn domain_all(mut self, tld_length: Option<usize>) -> Self {
        self.by_request.domain = Some(Domain::All(tld_length));
        self
    }

    /// Sends the cookie to all hosts of the first of these domains that the request's host is or
    /// ends in; where there is none, to this host alone.
    ///
    /// # Errors
    ///
    /// When one holds what cannot stand in a header.
    pub fn domain_among<'a>(mut self, domains: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let domains = domains.into_iter().map(|domain| attribute(domain).map(Box::from));
        self.by_request.domain = Some(Domain::Among(domains.collect::<Result<_>>()?));
        Ok(self)
    }

    /// Changes the options by the request, before the handler is called. A later call replaces an
    /// earlier one.
    ///
    /// # Examples
    ///
    /// ```
    /// use sqlbypass::{CookieOptions, SameSite};
    ///
    /// let cookie = CookieOptions::default().secure(true).per_request(|request, options| {
    ///     if request.uri.path().starts_with("/embedded/") {
    ///         options.same_site = Some(SameSite::None);
    ///         options.partitioned = true;
    ///     }
    /// });
    /// ```
    pub fn per_request(
        mut self,
        adjust: impl Fn(&Parts, &mut SessionOptions) + Send + Sync + 'static,
    ) -> Self {
        self.by_request.adjust = Some(Arc::new(adjust));
        self
    }

    /// Whether the request has to be looked at.
    pub(crate) fn is_by_request(&self) -> bool {
        self.by_request.domain.is_some() || self.by_request.adjust.is_some()
    }

    /// What holds for this request.
    pub(crate) fn options_for(&self, request: &Parts) -> SessionOptions {
        let mut options = self.options.clone();
        if let Some(domain) = &self.by_request.domain {
            let host = host(request).unwrap_or_default();
            options.domain = domain.of(host).map(|domain| domain.to_ascii_lowercase().into());
        }
        if let Some(adjust) = &self.by_request.adjust {
            adjust(request, &mut options);
        }
        options
    }

    /// Asserts what browsers ask of a name that begins with `__Host-` or `__Secure-`, in any case
    /// (RFC 6265bis, section 4.1.3); they drop the cookie otherwise.
    pub(crate) fn check(&self, options: &SessionOptions) -> Result<()> {
        let begins = |prefix: &str| {
            self.name.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix))
        };
        let doing = "setting up the session cookie";
        if begins("__Secure-") && !options.secure {
            return Err(Error::config(doing, "a name that begins with __Secure- needs `secure`"));
        }
        let is_for_host =
            options.secure && options.domain.is_none() && options.path.as_deref() == Some("/");
        if begins("__Host-") && !(is_for_host && self.by_request.domain.is_none()) {
            return Err(Error::config(
                doing,
                "a name that begins with __Host- needs `secure`, the path / and no domain",
            ));
        }
        Ok(())
    }
}

impl Domain {
    fn of<'a>(&'a self, host: &'a str) -> Option<&'a str> {
        match self {
            Self::All(length) => last_labels(host, *length),
            Self::Among(domains) => domains.iter().map(|domain| &**domain).find(|domain| {
                let bare = domain.strip_prefix('.').unwrap_or(domain);
                let Some(at) = host.len().checked_sub(bare.len()) else { return false };
                // A dot alone is no domain of any host's, and none of an unknown host's.
                if bare.is_empty() {
                    return false;
                }
                host.get(at..).is_some_and(|end| end.eq_ignore_ascii_case(bare))
                    && (at == 0 || host.as_bytes()[at - 1] == b'.')
            }),
        }
    }
}

/// The host without its port.
fn host(request: &Parts) -> Option<&str> {
    if let Some(host) = request.uri.host() {
        return Some(host);
    }
    let header = request.headers.get(HOST)?.to_str().ok()?;
    match header.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => Some(host),
        _ => Some(header),
    }
}

fn last_labels(host: &str, length: Option<usize>) -> Option<&str> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let is_address = host.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let labels = host.split('.').count();
    if is_address || labels < 2 || !host.bytes().all(is_name) || host.split('.').any(str::is_empty)
    {
        return None;
    }
    let wanted = length.unwrap_or_else(|| if ends_like_co_uk(host) { 3 } else { 2 });
    if wanted == 0 || wanted > labels && length.is_some() {
        return None;
    }
    let cut = host.rmatch_indices('.').nth(wanted.min(labels) - 1);
    Some(cut.map_or(host, |(at, _)| &host[at + 1..]))
}

/// `\.[^.]{2,3}\.[^.]{2}\z`, Rails' guess at the registries that sell third-level names.
fn ends_like_co_uk(host: &str) -> bool {
    let mut labels = host.rsplit('.').map(str::len);
    matches!((labels.next(), labels.next(), labels.next()), (Some(2), Some(2..=3), Some(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(host: &str, length: Option<usize>) -> Option<&str> {
        last_labels(host, length)
    }

    #[test]
    fn all_takes_the_last_labels_of_a_name() {
        for (host, length, domain) in [
            ("example.com", None, Some("example.com")),
            ("www.example.com", None, Some("example.com")),
            ("a.b.c.example.com", None, Some("example.com")),
            ("www.example.co.uk", None, Some("example.co.uk")),
            ("www.example.com.au", None, Some("example.com.au")),
            // Rails' guess, right or wrong: three labels where the last two look like a registry's.
            ("www.bbc.de", None, Some("www.bbc.de")),
            ("bbc.de", None, Some("bbc.de")),
            ("www.example.local", None, Some("example.local")),
            ("www.example.co.uk", Some(2), Some("co.uk")),
            ("www.example.com", Some(3), Some("www.example.com")),
            ("www.example.com", Some(1), Some("com")),
            ("example.com", Some(3), None),
            ("example.com", Some(0), None),
            ("localhost", None, None),
            ("127.0.0.1", None, None),
            ("[::1]", None, None),
            ("[::ffff:127.0.0.1]", None, None),
            ("example.com.", None, None),
            (".example.com", None, None),
            ("exa..mple", None, None),
            ("a b.example.com", None, None),
            ("a;b.example.com", None, None),
            ("", None, None),
        ] {
            assert_eq!(all(host, length), domain, "{host} {length:?}");
        }
    }

    #[test]
    fn of_a_list_the_first_that_the_host_ends_in_counts() {
        let list = Domain::Among(
            [".", "example.com", ".example.org", "sub.example.org"].map(Box::from).to_vec().into(),
        );
        for (host, domain) in [
            ("example.com", Some("example.com")),
            ("a.b.Example.COM", Some("example.com")),
            ("notexample.com", None),
            ("example.org", Some(".example.org")),
            ("sub.example.org", Some(".example.org")),
            ("example.net", None),
            ("com", None),
            ("example.net.", None),
            ("é.example.com", Some("example.com")),
            ("", None),
        ] {
            assert_eq!(list.of(host), domain, "{host}");
        }
    }

    #[test]
    fn the_host_is_that_of_the_line_or_of_the_header() {
        let host_of = |uri: &str, header: Option<&str>| {
            let mut builder = http::Request::builder().uri(uri);
            if let Some(header) = header {
                builder = builder.header(HOST, header);
            }
            let (parts, ()) = builder.body(()).unwrap().into_parts();
            host(&parts).map(str::to_owned)
        };
        for (uri, header, expected) in [
            ("http://a.example.com:8080/x", Some("b.example.com"), Some("a.example.com")),
            ("/x", Some("b.example.com"), Some("b.example.com")),
            ("/x", Some("b.example.com:8080"), Some("b.example.com")),
            ("/x", Some("[::1]:8080"), Some("[::1]")),
            ("/x", None, None),
        ] {
            assert_eq!(host_of(uri, header).as_deref(), expected);
        }
    }

    fn parts(host: &str) -> Parts {
        let (parts, ()) = http::Request::builder().uri(host).body(()).unwrap().into_parts();
        parts
    }

    #[test]
    fn what_holds_for_a_request_is_told_by_it() -> Result<()> {
        let plain = CookieOptions::default();
        assert!(!plain.is_by_request());
        let all = plain.clone().domain_all(None);
        let among = plain.clone().domain_among([".example.org", "shop.example.com"])?;
        let adjusted = plain.per_request(|request, options| {
            options.secure = request.uri.scheme_str() == Some("https");
        });
        assert!(all.is_by_request() && among.is_by_request() && adjusted.is_by_request());
        let request = parts("http://Shop.Example.com/");
        let domain = |options: &CookieOptions| options.options_for(&request).domain;
        assert_eq!(domain(&all).as_deref(), Some("example.com"));
        assert_eq!(domain(&among).as_deref(), Some("shop.example.com"));
        assert_eq!(domain(&adjusted), None);
        assert!(adjusted.options_for(&parts("https://a.example/")).secure);
        assert!(!adjusted.options_for(&request).secure);
        assert!(CookieOptions::default().domain_among(["a;b"]).is_err());
        Ok(())
    }

    #[test]
    fn names_with_a_prefix_need_what_browsers_ask_of_them() -> Result<()> {
        type Change = fn(CookieOptions) -> Result<CookieOptions>;
        let cases: [(&str, Change, bool); 12] = [
            ("plain", Ok, true),
            ("__Secure-a", Ok, false),
            ("__secure-a", Ok, false),
            ("__Secure-a", |options| Ok(options.secure(true)), true),
            ("__Secure-a", |options| options.secure(true).domain(Some("a.example")), true),
            ("__Host-a", Ok, false),
            ("__HOST-a", |options| Ok(options.secure(true)), true),
            ("__Host-a", |options| options.secure(true).path(Some("/a")), false),
            ("__Host-a", |options| options.secure(true).path(None), false),
            ("__Host-a", |options| options.secure(true).domain(Some("a.example")), false),
            ("__Host-a", |options| Ok(options.secure(true).domain_all(None)), false),
            ("__Host", Ok, true),
        ];
        for (name, change, fits) in cases {
            let cookie = change(CookieOptions::new(name)?)?;
            assert_eq!(cookie.check(&cookie.options).is_ok(), fits, "{name} {cookie:?}");
        }
        Ok(())
    }
}
