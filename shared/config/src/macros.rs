//! The declaration of a struct of settings.

/// Declares a struct of settings, with `read` (from a [`crate::Source`]) and `SETTINGS` (the
/// declarations that `quartet config` and `.env.example` print).
///
/// Each field is `name: Type = "VARIABLE" or "default";`, or `name: Option<Type> = "VARIABLE";`
/// without a default. A leading `@secret` hides the value when settings are printed. Without the
/// macro, every setting would be written four times: field, reading, listing, example.
///
/// ```
/// quartet_config::settings! {
///     /// Settings of the example.
///     pub struct Config {
///         /// Port to listen on.
///         port: u16 = "EXAMPLE_PORT" or "8000";
///         /// Password of the store.
///         @secret password: Option<quartet_config::Secret> = "EXAMPLE_PASSWORD";
///     }
/// }
/// let config = Config::read(&quartet_config::Source::of([("EXAMPLE_PORT", "9000")])).unwrap();
/// assert_eq!(config.port, 9000);
/// ```
#[macro_export]
macro_rules! settings {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $(
                $(#[doc = $doc:literal])+
                $(@$secret:ident)? $field:ident : $type:ty = $variable:literal $(or $default:literal)? ;
            )*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone)]
        pub struct $name {
            $( $(#[doc = $doc])+ pub $field: $type, )*
        }

        impl $name {
            /// Every setting of this struct, in reading order.
            pub const SETTINGS: &'static [$crate::Setting] = &[
                $( $crate::Setting {
                    name: $variable,
                    default: $crate::settings!(@default $($default)?),
                    doc: &[$($doc),+],
                    secret: $crate::settings!(@secret $($secret)?),
                }, )*
            ];

            /// Reads every setting from `source`; the first one that cannot be used is the error.
            pub fn read(source: &$crate::Source) -> Result<Self, $crate::Error> {
                let mut settings = Self::SETTINGS.iter();
                $( let $field = $crate::settings!(@read source, settings, $type $(, $default)?); )*
                Ok(Self { $($field),* })
            }
        }
    };
    (@default) => { None };
    (@default $default:literal) => { Some($default) };
    (@secret) => { false };
    (@secret secret) => { true };
    (@read $source:ident, $settings:ident, $type:ty) => {
        match $settings.next() {
            Some(setting) => $source.read::<<$type as $crate::value::Optional>::Value>(setting)?,
            None => None,
        }
    };
    (@read $source:ident, $settings:ident, $type:ty, $default:literal) => {
        match $settings.next().map(|setting| $source.read::<$type>(setting)).transpose()?.flatten() {
            Some(value) => value,
            // A setting with a default is always set.
            None => unreachable!(),
        }
    };
}
