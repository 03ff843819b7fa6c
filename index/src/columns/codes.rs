//! Small whole numbers, such as codes of a dictionary: one constant, packed bits, or byte planes.
//!
//! The number of values is known to whoever reads. Byte planes are compressed and taken where that
//! is clearly shorter than packed bits.

use super::wire::{Damaged, Packer, Reader, put_number};

const CONSTANT: u8 = 0;
const BITS: u8 = 1;
const PLANES: u8 = 2;

/// Codes in memory, in as few bytes as the greatest needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Codes {
    /// Below 256.
    Bytes(Vec<u8>),
    /// Below 65,536.
    Shorts(Vec<u16>),
    /// Any.
    Longs(Vec<u32>),
}

impl Codes {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Bytes(codes) => codes.len(),
            Self::Shorts(codes) => codes.len(),
            Self::Longs(codes) => codes.len(),
        }
    }

    /// Bytes they take in memory.
    pub(crate) fn size_bytes(&self) -> usize {
        match self {
            Self::Bytes(codes) => codes.len(),
            Self::Shorts(codes) => codes.len() * 2,
            Self::Longs(codes) => codes.len() * 4,
        }
    }

    /// Whether any code is one of these, which are told by code.
    pub(crate) fn has_any(&self, wanted: &[bool]) -> bool {
        let is_wanted = |code: usize| wanted.get(code) == Some(&true);
        match self {
            Self::Bytes(codes) => codes.iter().any(|code| is_wanted(usize::from(*code))),
            Self::Shorts(codes) => codes.iter().any(|code| is_wanted(usize::from(*code))),
            Self::Longs(codes) => codes.iter().any(|code| is_wanted(*code as usize)),
        }
    }

    /// The code at a place.
    pub(crate) fn get(&self, place: usize) -> u32 {
        match self {
            Self::Bytes(codes) => codes[place].into(),
            Self::Shorts(codes) => codes[place].into(),
            Self::Longs(codes) => codes[place],
        }
    }
}

/// Appends the codes.
pub(crate) fn encode(codes: &[u32], packer: &mut Packer, out: &mut Vec<u8>) {
    let greatest = codes.iter().copied().max().unwrap_or(0);
    if codes.iter().all(|code| *code == greatest) {
        out.push(CONSTANT);
        put_number(out, u64::from(greatest));
        return;
    }
    let width = 32 - greatest.leading_zeros();
    let bits_bytes = (codes.len() * width as usize).div_ceil(8);
    let planes = width.div_ceil(8);
    let mut bytes = Vec::with_capacity(codes.len() * planes as usize);
    for plane in 0..planes {
        bytes.extend(codes.iter().map(|code| (code >> (8 * plane)) as u8));
    }
    let start = out.len();
    out.push(PLANES);
    out.push(planes as u8);
    packer.put(out, &bytes);
    if out.len() - start > bits_bytes - bits_bytes / 8 {
        out.truncate(start);
        out.push(BITS);
        out.push(width as u8);
        pack(codes, width, out);
    }
}

fn pack(codes: &[u32], width: u32, out: &mut Vec<u8>) {
    let (mut held, mut held_bits) = (0u64, 0);
    for code in codes {
        held |= u64::from(*code) << held_bits;
        held_bits += width;
        while held_bits >= 8 {
            out.push(held as u8);
            held >>= 8;
            held_bits -= 8;
        }
    }
    if held_bits > 0 {
        out.push(held as u8);
    }
}

/// Reads so many codes.
pub(crate) fn decode(reader: &mut Reader<'_>, len: usize) -> Result<Vec<u32>, Damaged> {
    Ok(match decode_short(reader, len)? {
        Codes::Bytes(codes) => codes.into_iter().map(u32::from).collect(),
        Codes::Shorts(codes) => codes.into_iter().map(u32::from).collect(),
        Codes::Longs(codes) => codes,
    })
}

/// Reads so many codes, as they are kept in memory.
pub(crate) fn decode_short(reader: &mut Reader<'_>, len: usize) -> Result<Codes, Damaged> {
    match reader.byte()? {
        CONSTANT => {
            let code =
                u32::try_from(reader.number()?).map_err(|_| Damaged("a code is too large"))?;
            Ok(match code {
                0..=0xFF => Codes::Bytes(vec![code as u8; len]),
                0x100..=0xFFFF => Codes::Shorts(vec![code as u16; len]),
                _ => Codes::Longs(vec![code; len]),
            })
        }
        BITS => {
            let width = u32::from(reader.byte()?);
            if !(1..=32).contains(&width) {
                return Err(Damaged("codes have an impossible width"));
            }
            let bytes = reader.take((len * width as usize).div_ceil(8))?;
            Ok(match width {
                1..=8 => Codes::Bytes(unpack(bytes, width, len, |code| code as u8)),
                9..=16 => Codes::Shorts(unpack(bytes, width, len, |code| code as u16)),
                _ => Codes::Longs(unpack(bytes, width, len, |code| code)),
            })
        }
        PLANES => {
            let planes = usize::from(reader.byte()?);
            let bytes = reader.packed()?;
            if !(1..=4).contains(&planes) || bytes.len() != planes * len {
                return Err(Damaged("planes of codes have another length"));
            }
            let plane = |number: usize| bytes[number * len..(number + 1) * len].iter();
            Ok(match planes {
                1 => Codes::Bytes(bytes.into_owned()),
                2 => {
                    let codes = plane(0).zip(plane(1));
                    Codes::Shorts(
                        codes.map(|(low, high)| u16::from_le_bytes([*low, *high])).collect(),
                    )
                }
                _ => {
                    let mut codes: Vec<u32> = plane(0).map(|byte| u32::from(*byte)).collect();
                    for number in 1..planes {
                        let add = |(code, byte): (&mut u32, &u8)| {
                            *code |= u32::from(*byte) << (8 * number);
                        };
                        codes.iter_mut().zip(plane(number)).for_each(add);
                    }
                    Codes::Longs(codes)
                }
            })
        }
        _ => Err(Damaged("codes of an unknown form")),
    }
}

fn unpack<T>(bytes: &[u8], width: u32, len: usize, of: impl Fn(u32) -> T) -> Vec<T> {
    let mask = (1u64 << width) - 1;
    let (mut held, mut held_bits) = (0u64, 0);
    let mut bytes = bytes.iter();
    (0..len)
        .map(|_| {
            while held_bits < width {
                held |= u64::from(bytes.next().copied().unwrap_or_default()) << held_bits;
                held_bits += 8;
            }
            let code = (held & mask) as u32;
            held >>= width;
            held_bits -= width;
            of(code)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn codes_come_back(
            codes in proptest::collection::vec(any::<u32>(), 0..300),
            shift in 0u32..32,
        ) {
            let codes: Vec<u32> = codes.iter().map(|code| code >> shift).collect();
            let mut out = Vec::new();
            encode(&codes, &mut Packer::new().expect("memory"), &mut out);
            let back = decode(&mut Reader::new(&out), codes.len()).expect("just written");
            prop_assert_eq!(&back, &codes);
            let short = decode_short(&mut Reader::new(&out), codes.len()).expect("just written");
            prop_assert!((0..short.len()).map(|place| short.get(place)).eq(codes));
        }

        #[test]
        fn damage_is_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..60), len in 0usize..99) {
            let _ = decode(&mut Reader::new(&bytes), len);
        }
    }
}
