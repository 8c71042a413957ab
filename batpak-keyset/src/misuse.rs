//! What must not compile: secrets that are cloned or compared.
//!
//! Each example fails for the one reason that its comment gives.

/// A keyset is not cloned: a second one would mint the same leaves.
///
/// ```compile_fail,E0599
/// fn twice(keyset: batpak_keyset::Keyset) -> batpak_keyset::Keyset {
///     keyset.clone()
/// }
/// ```
///
/// The record of a provider may hold a root secret.
///
/// ```compile_fail,E0599
/// fn twice(record: batpak_keyset::ProviderRecord) -> batpak_keyset::ProviderRecord {
///     record.clone()
/// }
/// ```
///
/// A slot holds one.
///
/// ```compile_fail,E0369
/// fn same(one: &batpak_keyset::Slot, other: &batpak_keyset::Slot) -> bool {
///     *one == *other
/// }
/// ```
///
/// Frontiers are what keys are derived from.
///
/// ```compile_fail,E0277
/// fn show(frontiers: &batpak_keyset::Frontiers) -> String {
///     format!("{frontiers}")
/// }
/// ```
struct Misuse;
