//! Names in a vault, and paths of them.

use std::fmt;

/// Most bytes of a name.
pub const NAME: usize = 255;
/// Most names in a path: directories in a vault lie no deeper.
pub const DEPTH: usize = 512;

/// A name that a directory may hold: 1 to 255 bytes, no `/`, no NUL, not `.` or `..`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(Vec<u8>);

impl Name {
    /// Takes a name. Nothing: none that a directory may hold.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        // SECURITY: what leads out of a directory would be written anywhere; `names_that_lead_out_are_refused` notices.
        let safe = (1..=NAME).contains(&bytes.len())
            && !bytes.iter().any(|byte| matches!(byte, 0 | b'/'))
            && bytes != b"."
            && bytes != b"..";
        safe.then(|| Self(bytes.to_vec()))
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

/// A path from the top of a vault; the top itself has no names.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct VaultPath(Vec<Name>);

impl VaultPath {
    /// The top.
    #[must_use]
    pub fn top() -> Self {
        Self::default()
    }

    /// Takes names between `/`; `/` at either end and twice mean nothing. Nothing: a part is no name, or it is too deep.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let parts = text.split(|byte| *byte == b'/');
        let names: Option<Vec<Name>> = parts
            .filter(|part| !part.is_empty())
            .map(Name::new)
            .collect();
        names.filter(|names| names.len() <= DEPTH).map(Self)
    }

    /// The names, the outermost first.
    #[must_use]
    pub fn names(&self) -> &[Name] {
        &self.0
    }

    /// Where it lies, and its name there. Nothing: it is the top.
    #[must_use]
    pub fn split_last(&self) -> Option<(Self, &Name)> {
        let (last, before) = self.0.split_last()?;
        Some((Self(before.to_vec()), last))
    }

    /// What lies there under a name.
    #[must_use]
    pub fn join(&self, name: &Name) -> Self {
        let mut names = self.0.clone();
        names.push(name.clone());
        Self(names)
    }

    /// Whether it is `other` or lies in it.
    #[must_use]
    pub fn is_in(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }

    /// Where it is on disk, below a directory.
    #[must_use]
    pub fn on_disk(&self, top: &std::path::Path) -> std::path::PathBuf {
        use std::os::unix::ffi::OsStrExt as _;
        let names = self.0.iter().map(Name::as_bytes);
        let mut path = top.to_path_buf();
        path.extend(names.map(std::ffi::OsStr::from_bytes));
        path
    }

    /// Names between `/`.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let names: Vec<&[u8]> = self.0.iter().map(Name::as_bytes).collect();
        names.join(&b'/')
    }
}

impl fmt::Debug for VaultPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(&self.to_bytes()))
    }
}

impl fmt::Display for VaultPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.to_bytes()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "test code")]
    use super::*;

    #[test]
    fn names_that_lead_out_are_refused() {
        let refused: [&[u8]; 8] = [
            b"",
            b".",
            b"..",
            b"/",
            b"a/b",
            b"a\0",
            b"/etc",
            &[b'x'; 256],
        ];
        for name in refused {
            assert!(Name::new(name).is_none(), "{name:?}");
        }
        let taken: [&[u8]; 5] = [b"a", b"...", b".a", &[0xff], &[b'x'; 255]];
        for name in taken {
            assert!(Name::new(name).is_some(), "{name:?}");
        }
    }

    #[test]
    fn a_path_has_one_form() {
        let path = VaultPath::parse(b"/a//b/").unwrap();
        assert_eq!(path.to_bytes(), b"a/b");
        assert_eq!(VaultPath::parse(b"a/../b"), None);
        assert_eq!(VaultPath::parse(b"").unwrap(), VaultPath::top());
        let (place, name) = path.split_last().unwrap();
        assert_eq!(
            (place.to_bytes(), name.as_bytes()),
            (b"a".to_vec(), &b"b"[..])
        );
        assert!(path.is_in(&place) && !place.is_in(&path));
    }
}
