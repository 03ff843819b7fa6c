//! The binary form in which the catalog keeps a group (version 1, little-endian).

use super::{Episode, Group, Point};

/// Version of the form; another one is not read, and the group starts over.
const FORMAT_VERSION: u8 = 1;

impl Group {
    /// Appends the binary form, for the catalog.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        out.push(FORMAT_VERSION);
        out.extend_from_slice(&self.last_observed.to_le_bytes());
        out.extend_from_slice(&(self.points.len() as u32).to_le_bytes());
        for point in &self.points {
            out.extend_from_slice(&point.at.to_le_bytes());
            out.extend_from_slice(&point.tag.to_le_bytes());
            out.extend_from_slice(&point.id.to_le_bytes());
            out.extend_from_slice(&point.keep_until.to_le_bytes());
            out.extend_from_slice(&point.weight.to_le_bytes());
            out.push(u8::from(point.is_counted) | (u8::from(point.is_hit) << 1));
        }
        out.extend_from_slice(&(self.episodes.len() as u32).to_le_bytes());
        for episode in &self.episodes {
            out.extend_from_slice(&episode.key.to_le_bytes());
            out.extend_from_slice(&episode.started_at.to_le_bytes());
            out.extend_from_slice(&episode.started_by.to_le_bytes());
            out.extend_from_slice(&episode.held_until.to_le_bytes());
            out.extend_from_slice(&episode.close_at.to_le_bytes());
            out.extend_from_slice(&episode.alert.to_le_bytes());
        }
    }

    /// Reads the binary form; `None` when it is damaged or of another version.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        if reader.take::<1>()? != [FORMAT_VERSION] {
            return None;
        }
        let last_observed = i64::from_le_bytes(reader.take()?);
        let points = u32::from_le_bytes(reader.take()?);
        let points = (0..points)
            .map(|_| {
                let at = i64::from_le_bytes(reader.take()?);
                let tag = u128::from_le_bytes(reader.take()?);
                let id = u128::from_le_bytes(reader.take()?);
                let keep_until = i64::from_le_bytes(reader.take()?);
                let weight = u32::from_le_bytes(reader.take()?);
                let [flags] = reader.take()?;
                Some(Point {
                    at,
                    tag,
                    id,
                    keep_until,
                    weight,
                    is_counted: flags & 1 != 0,
                    is_hit: flags & 2 != 0,
                })
            })
            .collect::<Option<Vec<_>>>()?;
        let episodes = u32::from_le_bytes(reader.take()?);
        let episodes = (0..episodes)
            .map(|_| {
                Some(Episode {
                    key: u128::from_le_bytes(reader.take()?),
                    started_at: i64::from_le_bytes(reader.take()?),
                    started_by: u128::from_le_bytes(reader.take()?),
                    held_until: i64::from_le_bytes(reader.take()?),
                    close_at: i64::from_le_bytes(reader.take()?),
                    alert: u128::from_le_bytes(reader.take()?),
                })
            })
            .collect::<Option<Vec<_>>>()?;
        let mut group = Self { points, episodes, last_observed, due: 0, tags: 0 };
        group.take_stock();
        Some(group)
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }
}
