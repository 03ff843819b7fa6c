//! Whole bodies that attack: bombs, false lengths, too much of everything. All of a batch is refused.

use std::io::Write;

use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

/// A body, how it says it is compressed, and the refusal.
pub(super) struct Body {
    pub(super) name: &'static str,
    pub(super) encoding: &'static str,
    pub(super) bytes: Vec<u8>,
    pub(super) refusal: &'static str,
}

const MIB: usize = 1 << 20;
/// What a bomb becomes.
const BOMB_BYTES: usize = 512 * MIB;

/// Zeros, or the beginning of a record that never ends, through an encoder.
fn bomb<W: Write>(mut encoder: W, finish: impl FnOnce(W) -> Vec<u8>) -> Vec<u8> {
    let piece = vec![b'a'; MIB];
    encoder.write_all(b"{\"a\":\"").expect("memory");
    (0..BOMB_BYTES / MIB).for_each(|_| encoder.write_all(&piece).expect("memory"));
    finish(encoder)
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

fn zstd_bomb() -> Vec<u8> {
    let encoder = zstd::stream::Encoder::new(Vec::new(), 1).expect("memory");
    bomb(encoder, |encoder| encoder.finish().expect("memory"))
}

/// A frame that asks for a window of 128 MiB.
fn zstd_wide() -> Vec<u8> {
    let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).expect("memory");
    encoder.window_log(27).expect("a window");
    encoder.include_contentsize(false).expect("a setting");
    encoder.write_all(b"{\"a\":1}\n").expect("memory");
    encoder.finish().expect("memory")
}

/// All of them.
pub(super) fn all() -> Vec<Body> {
    let gzip_bomb = bomb(GzEncoder::new(Vec::new(), Compression::best()), |encoder| {
        encoder.finish().expect("memory")
    });
    let zlib_bomb = bomb(ZlibEncoder::new(Vec::new(), Compression::best()), |encoder| {
        encoder.finish().expect("memory")
    });
    let deflate_bomb = bomb(DeflateEncoder::new(Vec::new(), Compression::best()), |encoder| {
        encoder.finish().expect("memory")
    });
    let whole = gzip(&b"{\"a\":1}\n".repeat(100));
    let rows: Vec<(_, _, Vec<u8>, _)> = vec![
        ("a gzip bomb", "gzip", gzip_bomb.clone(), "413 too_compressed"),
        ("a zlib bomb", "deflate", zlib_bomb, "413 too_compressed"),
        ("a deflate bomb", "deflate", deflate_bomb, "413 too_compressed"),
        ("a zstd bomb", "zstd", zstd_bomb(), "413 too_compressed"),
        ("a bomb in a gzip", "gzip, gzip", gzip(&gzip_bomb), "415 unsupported_encoding"),
        ("gzip, cut off", "gzip", whole[..whole.len() - 9].to_vec(), "400 bad_encoding"),
        ("gzip that is none", "gzip", b"{\"a\":1}".to_vec(), "400 bad_encoding"),
        ("zstd that is none", "zstd", b"{\"a\":1}".to_vec(), "400 bad_encoding"),
        ("deflate that is none", "deflate", vec![0xFF; 100], "400 bad_encoding"),
        (
            "gzip and garbage after it",
            "gzip",
            [whole, vec![0xFF; 100]].concat(),
            "400 bad_encoding",
        ),
        ("zstd with a window of 128 MiB", "zstd", zstd_wide(), "400 bad_encoding"),
        ("an encoding nobody has", "br", b"{\"a\":1}".to_vec(), "415 unsupported_encoding"),
        ("17 MiB", "identity", b"{\"a\":1}\n".repeat(17 * MIB / 8), "413 too_large"),
        ("17 MiB after decompression", "gzip", gzip(&noise_lines(17 * MIB)), "413 too_large"),
        ("10,001 records", "identity", b"{\"a\":1}\n".repeat(10_001), "413 too_many_records"),
        (
            "an array of 10,001 records",
            "identity",
            [&b"["[..], &b"{},".repeat(10_000), b"{}]"].concat(),
            "413 too_many_records",
        ),
        ("10,001 records that are none", "identity", b"x\n".repeat(10_001), "413 too_many_records"),
        ("16 MiB of line feeds", "identity", vec![b'\n'; 16 * MIB], "400 nothing_usable"),
        ("nothing", "identity", Vec::new(), "400 nothing_usable"),
        ("15 MiB without a line feed", "identity", vec![b'['; 15 * MIB], "400 nothing_usable"),
        (
            "one record of 15 MiB",
            "identity",
            [&b"{\"a\":\""[..], &vec![b'a'; 15 * MIB], b"\"}"].concat(),
            "400 nothing_usable",
        ),
    ];
    let body = |(name, encoding, bytes, refusal)| Body { name, encoding, bytes, refusal };
    rows.into_iter().map(body).collect()
}

/// Lines that hardly compress.
fn noise_lines(bytes: usize) -> Vec<u8> {
    let mut noise = vec![0; bytes / 2];
    getrandom::fill(&mut noise).expect("the system gives random bytes");
    let mut lines = Vec::with_capacity(bytes);
    for piece in noise.chunks(1_000) {
        lines.extend_from_slice(b"{\"a\":\"");
        piece.iter().for_each(|byte| write!(lines, "{byte:02x}").expect("memory"));
        lines.extend_from_slice(b"\"}\n");
    }
    lines
}
