//! The dashboard's files, out of the binary.
//!
//! Everything is read and compressed once, at start, into memory: a few hundred kilobytes. A file
//! that the build compressed itself (`x.js.br` or `x.js.gz` beside `x.js`) is served as it is; gzip
//! is made here where it is missing. Files under `assets/` carry a hash in their name and never
//! change; `index.html` is never kept by a browser. The API-only binary has no files at all.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};

use crate::error::ApiError;

const IMMUTABLE: &str = "public, max-age=31536000, immutable";
const REVALIDATE: &str = "no-cache";
const NO_STORE: &str = "no-store";

/// Below this a file is not worth compressing: it fits one packet either way.
#[cfg(feature = "ui")]
const COMPRESSED_BYTES_MIN: usize = 1_024;

/// The pages of the dashboard; `*` is one part of a path. Any other path answers 404.
const PAGES: &[&str] = &[
    "/",
    "/login",
    "/setup",
    "/search",
    "/search/context/*",
    "/alerts",
    "/alerts/*",
    "/rules",
    "/rules/*",
    "/notifications",
    "/sources",
    "/sources/*",
    "/entities",
    "/entities/*/*",
    "/admin/users",
    "/admin/keys",
    "/admin/retention",
    "/admin/audit",
    "/admin/storage",
    "/dashboards",
    "/dashboards/*",
    "/me",
];

/// One file in every form it is sent in.
#[derive(Debug)]
struct Asset {
    content_type: &'static str,
    plain: Bytes,
    gzip: Option<Bytes>,
    brotli: Option<Bytes>,
}

/// All files by their path without the leading slash.
#[derive(Debug, Clone, Default)]
pub(crate) struct Assets(Arc<HashMap<String, Asset>>);

impl Assets {
    /// Takes the files out of the binary and compresses what the build did not.
    #[cfg(feature = "ui")]
    pub(crate) fn embedded() -> Self {
        #[derive(rust_embed::RustEmbed)]
        #[folder = "ui/dist/"]
        struct Dist;

        let content = |path: &str| Dist::get(path).map(|file| Bytes::from(file.data.into_owned()));
        let is_variant = |path: &str| {
            let plain = path.strip_suffix(".br").or_else(|| path.strip_suffix(".gz"));
            plain.is_some_and(|plain| Dist::get(plain).is_some())
        };
        let paths = Dist::iter().filter(|path| !is_variant(path));
        let files = paths.filter_map(|path| {
            let plain = content(&path)?;
            let gzip = content(&format!("{path}.gz")).or_else(|| gzip(&plain));
            let brotli = content(&format!("{path}.br"));
            let content_type = content_type(&path);
            Some((path.into_owned(), Asset { content_type, plain, gzip, brotli }))
        });
        Self(Arc::new(files.collect()))
    }

    /// No files: the binary serves the API alone.
    #[cfg(not(feature = "ui"))]
    pub(crate) fn embedded() -> Self {
        Self::default()
    }

    /// Answers a path that is not the API's: a file, a page, or 404.
    pub(crate) fn answer(&self, method: &Method, path: &str, headers: &HeaderMap) -> Response {
        let Some(index) = self.0.get("index.html") else {
            return ApiError::not_found().into_response();
        };
        let name = path.strip_prefix('/').unwrap_or(path);
        let asset = self.0.get(name).filter(|_| name != "index.html");
        if method != Method::GET && method != Method::HEAD {
            if asset.is_none() && !is_page(path) {
                return ApiError::not_found().into_response();
            }
            let mut refused = ApiError::method_not_allowed().into_response();
            refused.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refused;
        }
        if let Some(asset) = asset {
            let cache = if name.starts_with("assets/") { IMMUTABLE } else { REVALIDATE };
            return asset.answer(StatusCode::OK, cache, headers);
        }
        let status = if is_page(path) { StatusCode::OK } else { StatusCode::NOT_FOUND };
        index.answer(status, NO_STORE, headers)
    }
}

impl Asset {
    fn answer(&self, status: StatusCode, cache: &'static str, headers: &HeaderMap) -> Response {
        let (body, encoding) = match (&self.brotli, &self.gzip) {
            (Some(brotli), _) if accepts(headers, "br") => (brotli, Some("br")),
            (_, Some(gzip)) if accepts(headers, "gzip") => (gzip, Some("gzip")),
            _ => (&self.plain, None),
        };
        let mut response = (status, Body::from(body.clone())).into_response();
        let answered = response.headers_mut();
        answered.insert(header::CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        answered.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
        answered.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        if let Some(encoding) = encoding {
            answered.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        response
    }
}

/// Whether `Accept-Encoding` names this coding without refusing it (`;q=0`).
fn accepts(headers: &HeaderMap, coding: &str) -> bool {
    let named = headers.get_all(header::ACCEPT_ENCODING).into_iter();
    named.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).any(|item| {
        let mut parts = item.split(';').map(str::trim);
        let is_named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(coding));
        let is_refused = parts.any(|part| {
            let quality = part.strip_prefix("q=").and_then(|quality| quality.parse::<f32>().ok());
            quality.is_some_and(|quality| quality <= 0.0)
        });
        is_named && !is_refused
    })
}

/// Whether `path` is a page of the dashboard, letter for letter: no trailing slash, no empty part.
fn is_page(path: &str) -> bool {
    PAGES.iter().any(|page| {
        let mut given = path.split('/');
        let mut known = page.split('/');
        loop {
            match (given.next(), known.next()) {
                (None, None) => return true,
                (Some(part), Some("*")) if !part.is_empty() => {}
                (Some(part), Some(name)) if part == name => {}
                _ => return false,
            }
        }
    })
}

#[cfg(feature = "ui")]
fn gzip(plain: &[u8]) -> Option<Bytes> {
    use std::io::Write;

    if plain.len() < COMPRESSED_BYTES_MIN {
        return None;
    }
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(plain).ok()?;
    let packed = encoder.finish().ok()?;
    (packed.len() < plain.len()).then(|| packed.into())
}

#[cfg(feature = "ui")]
fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        "wasm" => "application/wasm",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_known_letter_for_letter() {
        for page in ["/", "/search", "/alerts/01ABC", "/entities/ip/10.0.0.1"] {
            assert!(is_page(page), "{page}");
        }
        for other in [
            "",
            "//",
            "/search/",
            "//search",
            "/Search",
            "/entities",
            "/entities/ip/",
            "/nobody",
            "/alerts/1/2",
            "/search%2f",
            "/./search",
            "/api",
            "/assets/none.js",
            "/admin",
        ] {
            assert_eq!(is_page(other), other == "/entities", "{other}");
        }
    }

    #[test]
    fn a_coding_counts_unless_it_is_refused() {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("br;q=0, GZIP;q=0.5"));
        assert!(!accepts(&headers, "br"));
        assert!(accepts(&headers, "gzip"));
        assert!(!accepts(&HeaderMap::new(), "gzip"));
    }

    fn one_file(name: &str, content_type: &'static str) -> (String, Asset) {
        let plain = Bytes::from_static(b"plain");
        let gzip = Some(Bytes::from_static(b"gz"));
        (name.to_owned(), Asset { content_type, plain, gzip, brotli: None })
    }

    #[test]
    fn hashed_files_never_change_and_unknown_paths_are_not_found() {
        let files =
            [one_file("index.html", "text/html"), one_file("assets/a-1.js", "text/javascript")];
        let assets = Assets(Arc::new(files.into()));
        let check = |path: &str, status: u16, cache: &str| {
            let response = assets.answer(&Method::GET, path, &HeaderMap::new());
            assert_eq!(response.status().as_u16(), status, "{path}");
            assert_eq!(response.headers()[header::CACHE_CONTROL], cache, "{path}");
        };
        check("/assets/a-1.js", 200, IMMUTABLE);
        check("/alerts", 200, NO_STORE);
        check("/index.html", 404, NO_STORE);
        check("/assets/../secret", 404, NO_STORE);
        let refused = assets.answer(&Method::POST, "/", &HeaderMap::new());
        assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(refused.headers()[header::ALLOW], "GET, HEAD");
        let none = Assets::default().answer(&Method::GET, "/", &HeaderMap::new());
        assert_eq!(none.status(), StatusCode::NOT_FOUND);
    }
}
