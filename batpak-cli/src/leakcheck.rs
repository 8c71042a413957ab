//! `batpak leakcheck`: searches every byte of every file for a canary and for the store's own secrets.
//!
//! Invariants: it prints kinds, files and places, and never what was found. It says that nothing was found only after it has found
//! what was planted for it, in a file like those it searches.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use batpak_store::{LeakHit, LeakSearch, ProviderKind, Store, crypto::SecretKind};
use clap::Args;

use crate::{error::CliError, open::Keys, output::Output, progress::Progress};
use canary::Canary;
use found::{HitLine, LeakLine};

mod canary;
mod found;

const ABOUT: &str = "\
Search every byte of the store's files, and of folders named, for what should stand nowhere

Searched for are the canary (the content of the file, without a line end at its end; any 16 bytes
of it too; as it is, in hex, base64 and UTF-16, and as JSON writes it) and the secrets of the store
that can be derived: the root secret, the keys of extents, nodes of the key trees, and the payload
key of every event that is not shredded. The root secret of a local store stands in its keyset, as
that provider has it: this is told apart, and so is the key file in use. The canary's own file is
left out.

Before, a file is searched in which random bytes were planted; unless they are found, the exit code
is 2. It is 1 when anything is found that is not where it belongs.";

/// Search every byte of the store's files, and of folders named, for what should stand nowhere
#[derive(Debug, Args)]
#[command(long_about = ABOUT)]
pub struct Leakcheck {
    /// The directory of the store
    #[arg(value_name = "STORE")]
    dir: PathBuf,

    /// A file whose content should stand nowhere in clear
    #[arg(long, value_name = "FILE")]
    canary: Option<PathBuf>,

    /// Folders and files to be searched as well: backups, temporary folders, logs
    #[arg(value_name = "DIR")]
    others: Vec<PathBuf>,
}

impl Leakcheck {
    /// Searches.
    pub fn run(&self, keys: &Keys, output: &mut Output) -> Result<(), CliError> {
        let store = keys.open_read_only(&self.dir)?;
        let canary = self.canary.as_deref().map(Canary::read).transpose()?.unwrap_or_default();
        let search = store.leak_search(&canary.texts())?;
        self.check_sight(&search)?;
        let mut walk = Walk {
            search: &search,
            canary: &canary,
            left_out: self.canary.as_deref().and_then(|path| path.canonicalize().ok()),
            key_file: key_file(keys, &store)?,
            line: LeakLine::new(&search),
            progress: Progress::start("leakcheck", None),
        };
        for root in self.roots()? {
            walk.place(&root, true)?;
        }
        let line = walk.line;
        let hits = line.hits_total;
        output.show(&line)?;
        if hits == 0 { Ok(()) } else { Err(CliError::Leaked { hits }) }
    }

    /// What is to be searched, each once: a folder inside another is searched with it.
    fn roots(&self) -> Result<Vec<PathBuf>, CliError> {
        let mut roots: Vec<PathBuf> = Vec::new();
        for path in std::iter::once(&self.dir).chain(&self.others) {
            let root = path.canonicalize().map_err(unread(path))?;
            if !roots.iter().any(|other| root.starts_with(other)) {
                roots.retain(|other| !other.starts_with(&root));
                roots.push(root);
            }
        }
        Ok(roots)
    }

    /// Plants the control in a file, across two of the blocks that are read, and searches that.
    fn check_sight(&self, search: &LeakSearch) -> Result<(), CliError> {
        let mut file = tempfile::NamedTempFile::new().map_err(unread(&std::env::temp_dir()))?;
        let path = file.path().to_owned();
        let at = (1 << 20) - 7;
        let filling = vec![b' '; at];
        file.write_all(&filling)
            .and_then(|()| file.write_all(search.control()))
            .and_then(|()| file.write_all(&filling))
            .and_then(|()| file.flush())
            .map_err(unread(&path))?;
        let mut found = Vec::new();
        let mut reader = File::open(&path).map_err(unread(&path))?;
        search.search(&mut reader, &mut |hit| found.push(hit)).map_err(unread(&path))?;
        match found.as_slice() {
            [hit] if hit.kind == LeakSearch::CONTROL && hit.offset == at as u64 && hit.whole => Ok(()),
            _ => Err(CliError::LeakBlind { path }),
        }
    }
}

/// The key file that holds the root secret itself, where it belongs.
fn key_file(keys: &Keys, store: &Store) -> Result<Option<PathBuf>, CliError> {
    if store.info().provider != Some(ProviderKind::KeyFile) {
        return Ok(None);
    }
    Ok(keys.key_file_of(store.info())?.and_then(|path| path.canonicalize().ok()))
}

/// A search of files.
struct Walk<'a> {
    search: &'a LeakSearch,
    canary: &'a Canary,
    left_out: Option<PathBuf>,
    key_file: Option<PathBuf>,
    line: LeakLine,
    progress: Progress,
}

impl Walk<'_> {
    /// Searches a file, or everything below a folder. What goes away meanwhile has nothing to be found in; links are not followed.
    fn place(&mut self, path: &Path, named: bool) -> Result<(), CliError> {
        let kind = match path.symlink_metadata() {
            Err(why) if why.kind() == io::ErrorKind::NotFound && !named => return Ok(()),
            data => data.map_err(unread(path))?.file_type(),
        };
        if kind.is_file() {
            return self.file(path);
        }
        if !kind.is_dir() {
            return Ok(());
        }
        for entry in fs::read_dir(path).map_err(unread(path))? {
            self.place(&entry.map_err(unread(path))?.path(), false)?;
        }
        Ok(())
    }

    fn file(&mut self, path: &Path) -> Result<(), CliError> {
        if self.left_out.as_deref() == Some(path) {
            return Ok(());
        }
        let mut file = match File::open(path) {
            Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(()),
            file => file.map_err(unread(path))?,
        };
        let is_key_file = self.key_file.as_deref() == Some(path);
        let (line, canary) = (&mut self.line, self.canary);
        let bytes = self.search.search(&mut file, &mut |hit| {
            let expected = hit.expected || is_key_file && hit.kind == SecretKind::RootSecret;
            line.add(hit_line(path, &hit, expected, canary));
        });
        self.line.bytes += bytes.map_err(unread(path))?;
        self.line.files += 1;
        self.progress.set(self.line.bytes);
        Ok(())
    }
}

fn hit_line(path: &Path, hit: &LeakHit, expected: bool, canary: &Canary) -> HitLine {
    let what = match hit.kind {
        SecretKind::Kek => "key of an extent".to_owned(),
        SecretKind::Node => "node of a key tree".to_owned(),
        SecretKind::PayloadKey => "payload key".to_owned(),
        SecretKind::RootSecret => "root secret".to_owned(),
        SecretKind::Text(number) => format!("canary, {}", canary.form(number)),
        _ => "secret".to_owned(),
    };
    HitLine { what, file: path.display().to_string(), offset: hit.offset, bytes: hit.bytes, whole: hit.whole, expected }
}

fn unread(path: &Path) -> impl FnOnce(io::Error) -> CliError {
    let path = path.to_owned();
    move |source| CliError::Folder { path, source }
}
