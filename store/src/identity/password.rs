//! Passwords: which are good enough, and their argon2id hashes.
//!
//! Hashing takes 19 MiB and tens of milliseconds: never on an async thread.

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};

/// Fewest characters of a password.
pub const PASSWORD_CHARS_MIN: usize = 12;

/// Most bytes of a password, so that nobody makes us hash megabytes.
pub(super) const PASSWORD_BYTES_MAX: usize = 1024;

/// Memory of one hash in KiB, passes and lanes (OWASP's first choice for argon2id).
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// What many would make a password for this product of.
const PRODUCT: &str = "logwarden";

/// Long passwords that every list of broken ones begins with.
const COMMON: &[&str] = &[
    "000000000000",
    "111111111111",
    "123123123123",
    "123456123456",
    "1234567890123",
    "123456789012",
    "1234567890qwerty",
    "123456789abc",
    "1q2w3e4r5t6y",
    "1qaz2wsx3edc",
    "abcdefghijkl",
    "adminadminadmin",
    "administrator",
    "administrator1",
    "changemechangeme",
    "changemenow1",
    "correcthorsebatterystaple",
    "iloveyou1234",
    "letmeinletmein",
    "logwarden123",
    "logwardenlogwarden",
    "passw0rd1234",
    "password1234",
    "password12345",
    "password123456",
    "passwordpassword",
    "q1w2e3r4t5y6",
    "qwerty123456",
    "qwertyqwerty",
    "qwertyuiop12",
    "qwertyuiop123",
    "qwertyuiopasdf",
    "welcome12345",
    "welcomewelcome",
    "zaq12wsxcde3",
];

/// Why a password is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Fewer than 12 characters.
    #[error("a password has at least {PASSWORD_CHARS_MIN} characters")]
    TooShort,
    /// More than 1024 bytes.
    #[error("a password has at most {PASSWORD_BYTES_MAX} bytes")]
    TooLong,
    /// On every list, one letter over and over, or made of the user's name.
    #[error("this password is among the first that anybody tries")]
    Common,
    /// It stands in the file of passwords that others have lost.
    #[error("this password is known from a breach of others")]
    Breached,
    /// That file cannot be read: nobody can say whether it stands there.
    #[error("the list of breached passwords cannot be read")]
    NoList,
    /// The hash could not be made.
    #[error("the password cannot be hashed")]
    Failed,
}

/// Whether `password` may become `user`'s.
pub(super) fn check(user: &str, password: &str) -> Result<(), PasswordError> {
    if password.chars().count() < PASSWORD_CHARS_MIN {
        return Err(PasswordError::TooShort);
    }
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(PasswordError::TooLong);
    }
    let folded = password.to_lowercase();
    let is_made_of = |name: &str| {
        name.chars().count() >= 3
            && folded.replace(name, "").chars().count() < PASSWORD_CHARS_MIN / 2
    };
    let is_name = is_made_of(&user.to_lowercase()) || is_made_of(PRODUCT);
    if is_repeated(&folded) || is_run(&folded) || is_name || COMMON.contains(&folded.as_str()) {
        return Err(PasswordError::Common);
    }
    Ok(())
}

/// Whether it is a part of at most four letters, over and over.
fn is_repeated(folded: &str) -> bool {
    let letters: Vec<char> = folded.chars().collect();
    (1..=4).any(|period| {
        letters.iter().zip(&letters[period.min(letters.len())..]).all(|(one, next)| one == next)
    })
}

/// Whether each letter follows on the one before it, up or down: `abcdefghijkl`, `987654321098`.
fn is_run(folded: &str) -> bool {
    let letters: Vec<i64> = folded.chars().map(|letter| i64::from(u32::from(letter))).collect();
    let steps = |step: i64| {
        letters.windows(2).all(|pair| {
            let is_over = [(48 + 9, 48), (48, 48 + 9)].contains(&(pair[0], pair[1]));
            pair[1] - pair[0] == step || is_over
        })
    };
    steps(1) || steps(-1)
}

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).expect("constants in range");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// The hash of a password with its salt and settings, as text.
pub(super) fn hash(password: &str) -> Result<String, PasswordError> {
    let hash = argon2().hash_password(password.as_bytes()).map_err(|_| PasswordError::Failed)?;
    Ok(hash.to_string())
}

/// Whether `password` has this hash. Without a hash the same work is done, for nothing: the time
/// must not tell whether there is such a user.
pub(super) fn verify(password: &str, hash: Option<&str>) -> bool {
    let parsed = hash.and_then(|hash| PasswordHash::new(hash).ok());
    match parsed {
        Some(hash) => argon2().verify_password(password.as_bytes(), &hash).is_ok(),
        None => {
            let mut out = [0; 32];
            // The result is of no interest, only the time it takes.
            let _ = argon2().hash_password_into(password.as_bytes(), b"no such user....", &mut out);
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_anybody_would_try_is_refused() {
        for (password, expected) in [
            ("short", Err(PasswordError::TooShort)),
            ("elevenchars", Err(PasswordError::TooShort)),
            ("Passw0rd1234", Err(PasswordError::Common)),
            ("aaaaaaaaaaaaaaaa", Err(PasswordError::Common)),
            ("mallory-mallory", Err(PasswordError::Common)),
            ("Logwarden-2026", Err(PasswordError::Common)),
            ("abc1abc1abc1", Err(PasswordError::Common)),
            ("90123456789012", Err(PasswordError::Common)),
            ("zyxwvutsrqpo", Err(PasswordError::Common)),
            ("abcdefghijklx", Ok(())),
            ("the logwarden of the tower", Ok(())),
            ("tide over the mill", Ok(())),
            ("zwölf-zeichen", Ok(())),
        ] {
            assert_eq!(check("mallory", password), expected, "{password}");
        }
        assert_eq!(check("mallory", &"ab".repeat(600)), Err(PasswordError::TooLong));
    }

    #[test]
    fn a_hash_says_how_it_was_made_and_fits_its_password_only() {
        let made = hash("tide over the mill").expect("hashed");
        assert!(made.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{made}");
        assert!(verify("tide over the mill", Some(&made)));
        assert!(!verify("tide under the mill", Some(&made)));
        assert!(!verify("tide over the mill", None));
    }
}
