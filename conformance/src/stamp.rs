//! Stamps a story onto everything that it must hold for.

/// Stamps each story, a `fn(Backend)`, onto both backends: `threaded::…` and `mio::…`.
#[macro_export]
macro_rules! for_both_backends {
    ($($story:ident),* $(,)?) => {
        mod threaded {
            $(#[test] fn $story() { super::$story($crate::Backend::Threaded); })*
        }
        mod mio {
            $(#[test] fn $story() { super::$story($crate::Backend::Mio); })*
        }
    };
}

/// Stamps each story, a `fn<C: Speaks>(Backend)`, onto both backends in both dialects:
/// `threaded::json::…`, `threaded::native::…`, `mio::json::…` and `mio::native::…`.
#[macro_export]
macro_rules! for_both_dialects {
    ($($story:ident),* $(,)?) => {
        mod threaded {
            mod json {
                use $crate::{Backend, JsonClient};
                $(#[test] fn $story() { super::super::$story::<JsonClient>(Backend::Threaded); })*
            }
            mod native {
                use $crate::{Backend, NativeClient};
                $(#[test] fn $story() { super::super::$story::<NativeClient>(Backend::Threaded); })*
            }
        }
        mod mio {
            mod json {
                use $crate::{Backend, JsonClient};
                $(#[test] fn $story() { super::super::$story::<JsonClient>(Backend::Mio); })*
            }
            mod native {
                use $crate::{Backend, NativeClient};
                $(#[test] fn $story() { super::super::$story::<NativeClient>(Backend::Mio); })*
            }
        }
    };
}
