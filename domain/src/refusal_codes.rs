//! The stable codes of rejections, given and listed in one place.

/// Gives each variant of the `Rejection` in whose module it stands its code.
macro_rules! refusal_codes {
    ($($pattern:pat => $code:literal,)+) => {
        impl $crate::Refusal for Rejection {
            fn code(&self) -> &'static str {
                match self {
                    $($pattern => $code,)+
                }
            }

            fn codes() -> Vec<&'static str> {
                vec![$($code),+]
            }
        }
    };
}
