//! Secrets: values that never show up in logs, errors or answers, and references to them.
//!
//! Configuration holds a [`SecretRef`]; [`SecretRef::resolve`] reads the value once.

mod exec;
mod vault;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest secret a file may hold, in bytes.
pub const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// A value that prints as `***`. It cannot be compared, shown or serialized by accident.
#[derive(Clone)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Hides `value`.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value. Whoever calls this answers for where it goes.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Where a secret comes from: `env:NAME`, `file:PATH`, `exec:PROGRAM ARGUMENTS` or `vault:PATH#KEY`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum SecretRef {
    /// An environment variable.
    Env(String),
    /// A file; a line end after the secret does not count.
    File(PathBuf),
    /// What a program prints, which is run without a shell; a line end after it does not count.
    Exec {
        /// The program.
        program: PathBuf,
        /// Its arguments: words with spaces between.
        arguments: Vec<String>,
    },
    /// A secret in HashiCorp Vault.
    Vault {
        /// Its path, as the API has it: `secret/data/logwarden`.
        path: String,
        /// One of its keys.
        key: String,
    },
}

/// What references begin with.
const KINDS: [&str; 4] = ["env:", "file:", "exec:", "vault:"];

/// Why there is no secret. No variant holds any part of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The text is no reference; it may be a secret itself, so it is not repeated.
    #[error("a secret is given as `env:NAME`, `file:PATH`, `exec:PROGRAM` or `vault:PATH#KEY`")]
    NotAReference,
    /// The variable is not set or not text.
    #[error("environment variable `{0}` is not set")]
    NoVariable(String),
    /// The file cannot be read.
    #[error("secret file `{path}` cannot be read: {reason}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// The error underneath.
        reason: String,
    },
    /// The program gives none.
    #[error("`{program}` gives no secret: {reason}")]
    Exec {
        /// Which program.
        program: PathBuf,
        /// Why.
        reason: String,
    },
    /// Vault gives none.
    #[error("`vault:{path}`: {reason}")]
    Vault {
        /// The path that was asked for.
        path: String,
        /// Why.
        reason: String,
    },
    /// The secret has no letters.
    #[error("secret `{0}` is empty")]
    Empty(String),
}

impl SecretRef {
    /// Whether a text refers to a secret, and is none itself.
    pub fn is_reference(text: &str) -> bool {
        KINDS.iter().any(|kind| text.starts_with(kind))
    }

    /// Reads the secret; a program or Vault may take seconds. A relative path starts at the working
    /// directory; see [`SecretRef::relative_to`].
    ///
    /// # Errors
    ///
    /// [`SecretError`] when there is none.
    pub fn resolve(&self) -> Result<Secret<String>, SecretError> {
        let text = match self {
            Self::Env(name) => {
                std::env::var(name).map_err(|_| SecretError::NoVariable(name.clone()))?
            }
            Self::File(path) => read_file(path)?,
            Self::Exec { program, arguments } => exec::output(program, arguments)
                .map_err(|reason| SecretError::Exec { program: program.clone(), reason })?,
            Self::Vault { path, key } => vault::value(path, key)
                .map_err(|reason| SecretError::Vault { path: path.clone(), reason })?,
        };
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let text = text.strip_suffix('\r').unwrap_or(text);
        if text.is_empty() {
            return Err(SecretError::Empty(self.without_arguments()));
        }
        Ok(Secret::new(text.to_owned()))
    }

    /// The same reference with a relative path starting at `dir`.
    pub fn relative_to(self, dir: &Path) -> Self {
        match self {
            Self::File(path) => Self::File(dir.join(path)),
            Self::Exec { program, arguments } => {
                Self::Exec { program: dir.join(program), arguments }
            }
            other => other,
        }
    }

    /// For people: a program's arguments may say more than they should.
    fn without_arguments(&self) -> String {
        match self {
            Self::Exec { program, .. } => format!("exec:{}", program.display()),
            other => other.to_string(),
        }
    }
}

fn read_file(path: &Path) -> Result<String, SecretError> {
    let unreadable = |reason: String| SecretError::Unreadable { path: path.to_path_buf(), reason };
    let size = std::fs::metadata(path).map_err(|error| unreadable(error.to_string()))?.len();
    if size > SECRET_BYTES_MAX {
        return Err(unreadable(format!("it has {size} bytes, the limit is {SECRET_BYTES_MAX}")));
    }
    std::fs::read_to_string(path).map_err(|error| unreadable(error.to_string()))
}

impl FromStr for SecretRef {
    type Err = SecretError;

    fn from_str(text: &str) -> Result<Self, SecretError> {
        match text.split_once(':') {
            Some(("env", name)) if !name.is_empty() => Ok(Self::Env(name.to_owned())),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(PathBuf::from(path))),
            Some(("exec", line)) => {
                let mut words = line.split_whitespace();
                let program = words.next().ok_or(SecretError::NotAReference)?.into();
                Ok(Self::Exec { program, arguments: words.map(str::to_owned).collect() })
            }
            Some(("vault", place)) => match place.split_once('#') {
                Some((path, key)) if !path.is_empty() && !key.is_empty() => {
                    Ok(Self::Vault { path: path.to_owned(), key: key.to_owned() })
                }
                _ => Err(SecretError::NotAReference),
            },
            _ => Err(SecretError::NotAReference),
        }
    }
}

impl TryFrom<String> for SecretRef {
    type Error = SecretError;

    fn try_from(text: String) -> Result<Self, SecretError> {
        text.parse()
    }
}

impl From<SecretRef> for String {
    fn from(reference: SecretRef) -> Self {
        reference.to_string()
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Exec { program, arguments } => {
                write!(f, "exec:{}", program.display())?;
                arguments.iter().try_for_each(|argument| write!(f, " {argument}"))
            }
            Self::Vault { path, key } => write!(f, "vault:{path}#{key}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_never_prints() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "***");
        let error = "hunter2".parse::<SecretRef>().expect_err("no reference");
        assert!(!error.to_string().contains("hunter2"));
    }

    #[test]
    fn a_reference_reads_as_it_is_written() {
        for text in ["env:X", "file:a/b", "exec:bin/pass show smtp", "vault:secret/data/lw#smtp"] {
            let reference: SecretRef = text.parse().expect(text);
            assert_eq!(reference.to_string(), text);
            assert!(SecretRef::is_reference(text));
        }
        for text in ["env:", "exec: ", "vault:secret", "vault:#smtp", "vault:secret#", "https://x"]
        {
            assert_eq!(text.parse::<SecretRef>(), Err(SecretError::NotAReference), "{text}");
        }
        let relative: SecretRef = "exec:bin/pass a/b".parse().expect("a reference");
        let absolute = relative.relative_to(Path::new("/etc/lw"));
        assert_eq!(absolute.to_string(), "exec:/etc/lw/bin/pass a/b");
    }

    #[test]
    fn a_programs_line_end_is_none_of_its_secret_and_its_arguments_are_not_told() {
        let reference = |text: &str| text.parse::<SecretRef>().expect("a reference");
        let secret = reference("exec:/bin/echo s3cret").resolve().expect("a secret");
        assert_eq!(secret.expose(), "s3cret");
        let error = reference("exec:/bin/true hunter2").resolve().expect_err("nothing");
        assert_eq!(error.to_string(), "secret `exec:/bin/true` is empty");
        let error = reference("exec:/bin/false hunter2").resolve().expect_err("nothing");
        assert_eq!(error.to_string(), "`/bin/false` gives no secret: it ends with exit status: 1");
    }

    #[test]
    fn a_file_loses_its_line_end() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("smtp.password");
        std::fs::write(&path, "s3cret\n").expect("written");
        let reference: SecretRef = "file:smtp.password".parse().expect("a reference");
        let secret = reference.relative_to(dir.path()).resolve().expect("a secret");
        assert_eq!(secret.expose(), "s3cret");
        std::fs::write(&path, "\n").expect("written");
        assert!(matches!(SecretRef::File(path).resolve(), Err(SecretError::Empty(_))));
    }
}
