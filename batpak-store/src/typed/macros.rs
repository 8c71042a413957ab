//! Macros that name a type's kind and version once.
//!
//! Declarative ones, not a derive: what they write is a handful of constants, and a derive would be a crate of its own.

/// Makes types the payloads of events.
///
/// Each line names a type, its kind as `CATEGORY:TYPE`, its version, its encoding (`JSON` or `MSGPACK`) if it is not
/// [`Encoded::CONTENT_TYPE`](crate::Encoded::CONTENT_TYPE), and the layouts of earlier versions, from which the type is made by
/// `From`. A kind that callers cannot use does not compile.
///
/// ```
/// use batpak_store::event_payload;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Named { first: String, last: String }
///
/// /// What version 1 wrote.
/// #[derive(Deserialize)]
/// struct NamedV1 { name: String }
///
/// impl From<NamedV1> for Named {
///     fn from(old: NamedV1) -> Self {
///         let (first, last) = old.name.split_once(' ').unwrap_or(("", &old.name));
///         Self { first: first.into(), last: last.into() }
///     }
/// }
///
/// event_payload! {
///     Named: kind 1:4, version 2, from { 1 => NamedV1 };
/// }
/// ```
///
/// ```compile_fail,E0080
/// # use batpak_store::{event_payload, EventPayload};
/// # #[derive(serde::Serialize, serde::Deserialize)]
/// # struct Forbidden;
/// event_payload! { Forbidden: kind 0:4, version 1; }
/// let _ = Forbidden::KIND;
/// ```
#[macro_export]
macro_rules! event_payload {
    (@content_type) => { $crate::Encoded::CONTENT_TYPE };
    (@content_type $encoding:ident) => { $crate::ContentType::$encoding };
    ($($type:ty: kind $category:literal : $number:literal, version $version:literal $(, encoded as $encoding:ident)?
        $(, from { $($earlier:literal => $layout:ty),+ $(,)? })?;)+) => {$(
        impl $crate::EventPayload for $type {
            const KIND: $crate::EventKind = match $crate::EventKind::new($category, $number) {
                Ok(kind) if !kind.is_reserved() => kind,
                _ => panic!("the kind is out of range or reserved"),
            };
            const VERSION: u16 = $version;
            const CONTENT_TYPE: $crate::ContentType = $crate::event_payload!(@content_type $($encoding)?);
            $(
                fn upcast(version: u16, payload: $crate::Encoded<'_>) -> Result<Self, $crate::DecodeError> {
                    match version {
                        $($earlier => payload.decode::<$layout>().map(Into::into),)+
                        _ => Err($crate::DecodeError::UnknownVersion { kind: Self::KIND, version, known: Self::VERSION }),
                    }
                }
            )?
        }
    )+};
}

/// Makes an enum over payload types, to read a stream of several kinds, and for [`Aggregate`](crate::Aggregate).
///
/// ```
/// use batpak_store::{event_payload, event_set};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// pub struct Opened;
/// #[derive(Serialize, Deserialize)]
/// pub struct Booked { pub cents: i64 }
///
/// event_payload! {
///     Opened: kind 1:1, version 1;
///     Booked: kind 1:2, version 1;
/// }
/// event_set! {
///     /// What happens to an account.
///     pub enum AccountEvent { Opened, Booked }
/// }
/// ```
///
/// Two types of one kind do not compile:
///
/// ```compile_fail,E0080
/// # use batpak_store::{event_payload, event_set};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize)]
/// # pub struct Opened;
/// # #[derive(Serialize, Deserialize)]
/// # pub struct Booked;
/// event_payload! {
///     Opened: kind 1:1, version 1;
///     Booked: kind 1:1, version 1;
/// }
/// event_set! { pub enum AccountEvent { Opened, Booked } }
/// ```
#[macro_export]
macro_rules! event_set {
    ($(#[$meta:meta])* $visibility:vis enum $name:ident { $($variant:ident),+ $(,)? }) => {
        $(#[$meta])*
        $visibility enum $name {
            $(
                #[doc = concat!("See [`", stringify!($variant), "`].")]
                $variant($variant),
            )+
        }

        $(
            impl From<$variant> for $name {
                fn from(value: $variant) -> Self {
                    Self::$variant(value)
                }
            }
        )+

        const _: () = assert!(
            $crate::kinds_are_distinct(&[$(<$variant as $crate::EventPayload>::KIND),+]),
            "two types of the set have one kind"
        );

        impl $crate::EventSet for $name {
            const KINDS: &'static [$crate::EventKind] = &[$(<$variant as $crate::EventPayload>::KIND),+];

            fn decode(
                kind: $crate::EventKind,
                version: u16,
                payload: $crate::Encoded<'_>,
            ) -> Result<Self, $crate::DecodeError> {
                $(
                    if kind == <$variant as $crate::EventPayload>::KIND {
                        return <$variant as $crate::EventSet>::decode(kind, version, payload).map(Self::$variant);
                    }
                )+
                Err($crate::DecodeError::UnknownKind { found: kind })
            }

            fn prepare(&self) -> Result<$crate::Prepared, $crate::EncodeError> {
                match self {
                    $(Self::$variant(value) => $crate::EventSet::prepare(value),)+
                }
            }
        }
    };
}
