//! The damages of a file, one at a time.

use super::subject::{FileKind, Target};

/// What a disk writes at once.
const SECTOR: usize = 512;

/// One damage. Offsets are in bytes, sectors are counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    /// The file is gone.
    Absent,
    /// The file ends before this byte.
    Cut(usize),
    /// So many bytes stand behind the end: zeros when the number is odd, else ones.
    Grown(usize),
    /// One bit of this byte is another; which one goes by the byte.
    Flip(usize),
    /// This byte is 0xFF.
    Ones(usize),
    /// This sector and the next have changed places.
    Swap(usize),
    /// This byte is 0.
    Zero(usize),
    /// This sector is zeros.
    ZeroSector(usize),
}

impl Damage {
    /// The file after it; none when it is gone.
    pub fn apply(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut bytes = bytes.to_vec();
        let sector = |n: usize| n * SECTOR..((n + 1) * SECTOR).min(bytes.len());
        match *self {
            Self::Absent => return None,
            Self::Cut(len) => bytes.truncate(len),
            Self::Flip(at) => bytes[at] ^= 1 << (at % 8),
            Self::Grown(by) => bytes.resize(bytes.len() + by, if by % 2 == 1 { 0 } else { 0xff }),
            Self::Ones(at) => bytes[at] = 0xff,
            Self::Swap(n) => {
                let (here, next) = (bytes[sector(n)].to_vec(), bytes[sector(n + 1)].to_vec());
                let both = n * SECTOR..n * SECTOR + here.len() + next.len();
                bytes[both].copy_from_slice(&[next, here].concat());
            }
            Self::Zero(at) => bytes[at] = 0,
            Self::ZeroSector(n) => {
                let range = sector(n);
                bytes[range].fill(0);
            }
        }
        Some(bytes)
    }

    /// Whether it is one of many that are the same: a byte in a long run of zeros or a length that ends there, or any byte of an extent.
    pub fn repeats_itself(&self, target: &Target) -> bool {
        let (Self::Flip(at) | Self::Ones(at) | Self::Cut(at)) = *self else {
            return matches!(self, Self::Zero(_)) && target.kind == FileKind::Extent;
        };
        let near = &target.bytes[at.saturating_sub(16)..(at + 16).min(target.bytes.len())];
        target.kind == FileKind::Extent || near.iter().all(|byte| *byte == 0)
    }
}

/// Every damage that changes the file.
pub fn damages(target: &Target) -> Vec<Damage> {
    let bytes = &target.bytes;
    let sectors = bytes.len().div_ceil(SECTOR);
    let grown = [1, 2, 73, 511, 512, 4096, 4097].map(Damage::Grown);
    let all = [Damage::Absent]
        .into_iter()
        .chain(grown)
        .chain((0..bytes.len()).flat_map(|at| [Damage::Flip(at), Damage::Zero(at), Damage::Ones(at), Damage::Cut(at)]))
        .chain((0..sectors).map(Damage::ZeroSector))
        .chain((1..sectors).map(|next| Damage::Swap(next - 1)));
    all.filter(|damage| damage.apply(bytes).as_ref() != Some(bytes)).collect()
}
