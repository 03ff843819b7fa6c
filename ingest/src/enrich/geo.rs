//! A MaxMind file in memory: country, city, and the network an address belongs to.

use std::net::IpAddr;
use std::path::Path;

use maxminddb::Reader;
use serde::Deserialize;

use super::{Side, add, add_text};
use crate::normalize::reading::{Held, Reading};

/// Bytes of one file; the largest of MaxMind's has about 500 MB.
const FILE_BYTES_MAX: u64 = 1024 * 1024 * 1024;

/// A file of addresses.
#[derive(Debug)]
pub(super) struct Geo(Reader<Vec<u8>>);

/// What files of MaxMind and those that are like them say of an address.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Found<'a> {
    #[serde(borrow)]
    country: Country<'a>,
    #[serde(borrow)]
    city: Named<'a>,
    #[serde(borrow)]
    subdivisions: Vec<Named<'a>>,
    location: Location,
    autonomous_system_number: Option<u32>,
    autonomous_system_organization: Option<&'a str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Country<'a> {
    iso_code: Option<&'a str>,
    #[serde(borrow)]
    names: Names<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Named<'a> {
    #[serde(borrow)]
    names: Names<'a>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Names<'a> {
    en: Option<&'a str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Location {
    latitude: Option<f64>,
    longitude: Option<f64>,
}

impl Geo {
    /// Reads a file of `size_bytes`.
    ///
    /// # Errors
    ///
    /// Why it cannot be used.
    pub(super) fn open(path: &Path, size_bytes: u64) -> Result<Self, String> {
        if size_bytes > FILE_BYTES_MAX {
            return Err(format!("it has more than {FILE_BYTES_MAX} bytes"));
        }
        let bytes = std::fs::read(path).map_err(|error| error.to_string())?;
        Reader::from_source(bytes).map(Self).map_err(|error| error.to_string())
    }

    /// Adds what is known of the address.
    pub(super) fn apply(&self, address: IpAddr, side: &Side, reading: &mut Reading<'_>) {
        // An address that the file has not, or a damaged place in it: nothing is known.
        let Ok(Some(found)) = self.0.lookup(address).and_then(|entry| entry.decode::<Found<'_>>())
        else {
            return;
        };
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        add_text(reading, side.country, &text(found.country.iso_code));
        add_text(reading, side.country_name, &text(found.country.names.en));
        add_text(reading, side.city, &text(found.city.names.en));
        let region = found.subdivisions.first().and_then(|region| region.names.en);
        add_text(reading, side.region, &text(region));
        if let (Some(lat), Some(lon)) = (found.location.latitude, found.location.longitude) {
            add_text(reading, side.location, &format!("{lat},{lon}"));
        }
        if let Some(number) = found.autonomous_system_number {
            add(reading, side.number, Held::Signed(number.into()));
        }
        add_text(reading, side.organization, &text(found.autonomous_system_organization));
    }
}
