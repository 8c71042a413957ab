//! Programs that must not compile: a secret cannot be cloned, compared or printed.
//!
//! They are doc tests, and each refused program has a twin of the same shape that compiles, so it is refused for the
//! bound and not for a misspelt name. (Committed compiler messages would change with every compiler.)

/// Asks a bound of a type: compiles, or is refused.
macro_rules! asks {
    ($name:ident, $fence:literal, $bound:literal, $secret:literal) => {
        #[doc = concat!("```", $fence)]
        #[doc = concat!("fn asks<T: ", $bound, ">() {}")]
        #[doc = concat!("asks::<batpak_crypto::", $secret, ">();")]
        #[doc = "```"]
        pub struct $name;
    };
}

/// What holds of every secret type, and what must not.
macro_rules! secrets {
    ($($module:ident $secret:literal)*) => {
        $(
            pub mod $module {
                asks!(HasDebug, "rust", "core::fmt::Debug", $secret);
                asks!(IsWipedOnDrop, "rust", "zeroize::ZeroizeOnDrop", $secret);
                asks!(IsSendAndSync, "rust", "Send + Sync", $secret);
                asks!(NotClone, "compile_fail,E0277", "Clone", $secret);
                asks!(NotCompared, "compile_fail,E0277", "PartialEq", $secret);
                asks!(NotHashed, "compile_fail,E0277", "core::hash::Hash", $secret);
                asks!(NotPrinted, "compile_fail,E0277", "core::fmt::Display", $secret);
                asks!(NotPrintedAsHex, "compile_fail,E0277", "core::fmt::LowerHex", $secret);
                asks!(NotBytes, "compile_fail,E0277", "AsRef<[u8]>", $secret);
            }
        )*
    };
}

secrets! {
    kek "Kek"
    leaf "Leaf"
    node "Node"
    payload_key "PayloadKey"
    root_secret "RootSecret"
    tree "Tree"
    tree_cursor "TreeCursor"
}

// The bounds that are refused above do compile for a public value.
asks!(PublicIsCloned, "rust", "Clone + PartialEq + core::hash::Hash", "KeyCommitment");
asks!(PublicIsPrinted, "rust", "core::fmt::Display", "SecretId");
asks!(SliceIsBytes, "rust", "AsRef<[u8]>", "Tag");

/// The bytes of a payload key cannot be had.
/// ```compile_fail,E0599
/// fn bytes(key: &batpak_crypto::PayloadKey) -> &[u8; 32] {
///     key.expose()
/// }
/// ```
/// ```
/// fn bytes(key: &batpak_crypto::RootSecret) -> &[u8; 32] {
///     key.expose()
/// }
/// ```
pub struct PayloadKeyBytes;

/// A body is sealed under a root secret or the key of an extent, not under anything else.
/// ```compile_fail,E0277
/// fn asks<T: batpak_crypto::BodyKey>() {}
/// asks::<batpak_crypto::Node>();
/// ```
/// ```
/// fn asks<T: batpak_crypto::BodyKey>() {}
/// asks::<batpak_crypto::Kek>();
/// ```
pub struct BodyKeys;

#[doc = include_str!("../README.md")]
pub struct Readme;
