//! Whole numbers: the distance from the least, or from one to the next, in compressed byte planes.

use super::wire::{Damaged, Packer, Reader, fold, put_number, unfold};

const FROM_LEAST: u8 = 0;
const FROM_PREVIOUS: u8 = 1;

/// Appends the numbers.
pub(crate) fn encode(numbers: &[i64], packer: &mut Packer, out: &mut Vec<u8>) {
    let least = numbers.iter().copied().min().unwrap_or(0);
    let from_least: Vec<u64> =
        numbers.iter().map(|number| number.wrapping_sub(least) as u64).collect();
    let from_previous = distances(numbers);
    let bits = |distances: &[u64]| -> u64 {
        distances.iter().map(|distance| u64::from(64 - distance.leading_zeros())).sum()
    };
    // Distances to the previous one are noisier in their low bits for the same size.
    if bits(&from_previous) < bits(&from_least) {
        out.push(FROM_PREVIOUS);
        put_planes(&from_previous, packer, out);
    } else {
        out.push(FROM_LEAST);
        put_number(out, fold(least));
        put_planes(&from_least, packer, out);
    }
}

fn distances(numbers: &[i64]) -> Vec<u64> {
    let mut previous = 0i64;
    let distance = |number: &i64| {
        let distance = number.wrapping_sub(previous);
        previous = *number;
        fold(distance)
    };
    numbers.iter().map(distance).collect()
}

/// The first distance is usually far larger than the others, so it stands apart.
fn put_planes(distances: &[u64], packer: &mut Packer, out: &mut Vec<u8>) {
    let (first, rest) =
        distances.split_first().map_or((0, distances), |(first, rest)| (*first, rest));
    put_number(out, first);
    let greatest = rest.iter().copied().max().unwrap_or(0);
    let planes = (64 - greatest.leading_zeros()).div_ceil(8);
    let mut bytes = Vec::with_capacity(rest.len() * planes as usize);
    for plane in 0..planes {
        bytes.extend(rest.iter().map(|distance| (distance >> (8 * plane)) as u8));
    }
    out.push(planes as u8);
    packer.put(out, &bytes);
}

/// Reads so many numbers.
pub(crate) fn decode(reader: &mut Reader<'_>, len: usize) -> Result<Vec<i64>, Damaged> {
    match reader.byte()? {
        FROM_LEAST => {
            let least = unfold(reader.number()?);
            let distances = planes(reader, len)?;
            Ok(distances.into_iter().map(|distance| least.wrapping_add(distance as i64)).collect())
        }
        FROM_PREVIOUS => {
            let mut number = 0i64;
            let distances = planes(reader, len)?;
            let next = |distance| {
                number = number.wrapping_add(unfold(distance));
                number
            };
            Ok(distances.into_iter().map(next).collect())
        }
        _ => Err(Damaged("numbers of an unknown form")),
    }
}

fn planes(reader: &mut Reader<'_>, len: usize) -> Result<Vec<u64>, Damaged> {
    let first = reader.number()?;
    let planes = usize::from(reader.byte()?);
    let bytes = reader.packed()?;
    let rest = len.saturating_sub(1);
    if planes > 8 || bytes.len() != planes * rest {
        return Err(Damaged("planes of numbers have another length"));
    }
    // Written before it is read: memory that is read first is mapped twice.
    let mut distances = Vec::with_capacity(len);
    distances.extend(Some(first).filter(|_| len > 0));
    match planes {
        0 => distances.resize(len, 0),
        _ => distances.extend(bytes[..rest].iter().map(|byte| u64::from(*byte))),
    }
    for plane in 1..planes {
        let bytes = &bytes[plane * rest..(plane + 1) * rest];
        let shift = 8 * plane;
        distances[1..]
            .iter_mut()
            .zip(bytes)
            .for_each(|(distance, byte)| *distance |= u64::from(*byte) << shift);
    }
    Ok(distances)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back(
            numbers in proptest::collection::vec(any::<i64>(), 0..300),
            shift in 0u32..64,
        ) {
            let numbers: Vec<i64> = numbers.iter().map(|number| number >> shift).collect();
            let mut out = Vec::new();
            encode(&numbers, &mut Packer::new().expect("memory"), &mut out);
            prop_assert_eq!(decode(&mut Reader::new(&out), numbers.len()), Ok(numbers));
        }

        #[test]
        fn damage_is_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..60), len in 0usize..99) {
            let _ = decode(&mut Reader::new(&bytes), len);
        }
    }

    #[test]
    fn ascending_numbers_take_less_than_a_byte_each() {
        let numbers: Vec<i64> = (0..1_000).map(|number| 1_760_000_000_000 + number * 3).collect();
        let mut out = Vec::new();
        encode(&numbers, &mut Packer::new().expect("memory"), &mut out);
        assert!(out.len() < 100, "{}", out.len());
    }
}
