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

/// Stamps each story, a `fn(Host)`, onto both backends with topics in memory and on disk:
/// `threaded::memory::…`, `threaded::disk::…`, `mio::memory::…` and `mio::disk::…`.
#[macro_export]
macro_rules! for_all_hosts {
    ($($story:ident),* $(,)?) => {
        mod threaded {
            mod memory {
                $(#[test] fn $story() { super::super::$story($crate::Host::THREADED_MEMORY); })*
            }
            mod disk {
                $(#[test] fn $story() { super::super::$story($crate::Host::THREADED_DISK); })*
            }
        }
        mod mio {
            mod memory {
                $(#[test] fn $story() { super::super::$story($crate::Host::MIO_MEMORY); })*
            }
            mod disk {
                $(#[test] fn $story() { super::super::$story($crate::Host::MIO_DISK); })*
            }
        }
    };
}

/// Stamps each story, a `fn<C: Speaks>(Host)`, onto both backends, with topics in memory and on
/// disk, in both dialects: `json::threaded::memory::…` and so on.
#[macro_export]
macro_rules! for_all_hosts_and_dialects {
    ($($story:ident),* $(,)?) => {
        mod json {
            $(fn $story(host: $crate::Host) { super::$story::<$crate::JsonClient>(host); })*
            $crate::for_all_hosts!($($story),*);
        }
        mod native {
            $(fn $story(host: $crate::Host) { super::$story::<$crate::NativeClient>(host); })*
            $crate::for_all_hosts!($($story),*);
        }
    };
}

/// Stamps each story, a `fn(Backend, Version)`, onto both backends in both current versions of
/// MQTT: `v311::threaded::…`, `v311::mio::…`, `v5::threaded::…` and `v5::mio::…`.
#[macro_export]
macro_rules! for_both_mqtt_versions {
    ($($story:ident),* $(,)?) => {
        mod v311 {
            $(fn $story(backend: $crate::Backend) {
                super::$story(backend, $crate::mqtt::Version::V311);
            })*
            $crate::for_both_backends!($($story),*);
        }
        mod v5 {
            $(fn $story(backend: $crate::Backend) {
                super::$story(backend, $crate::mqtt::Version::V5);
            })*
            $crate::for_both_backends!($($story),*);
        }
    };
}

/// Stamps stories that mostly wait for the clock, a `fn(Backend)` each, onto both backends: one
/// test for each backend, `at_once::threaded` and `at_once::mio`, in which they run side by side.
#[macro_export]
macro_rules! for_both_backends_at_once {
    ($($story:ident),* $(,)?) => {
        mod at_once {
            use $crate::Backend;
            #[test]
            fn threaded() {
                $crate::at_once(&[
                    $((stringify!($story), || super::$story(Backend::Threaded))),*
                ]);
            }
            #[test]
            fn mio() {
                $crate::at_once(&[$((stringify!($story), || super::$story(Backend::Mio))),*]);
            }
        }
    };
}

/// Stamps stories that mostly wait for the clock, a `fn(Backend, Version)` each, onto both
/// backends in both current versions of MQTT, side by side for each.
#[macro_export]
macro_rules! for_both_mqtt_versions_at_once {
    ($($story:ident),* $(,)?) => {
        mod v311_at_once {
            $(fn $story(backend: $crate::Backend) {
                super::$story(backend, $crate::mqtt::Version::V311);
            })*
            $crate::for_both_backends_at_once!($($story),*);
        }
        mod v5_at_once {
            $(fn $story(backend: $crate::Backend) {
                super::$story(backend, $crate::mqtt::Version::V5);
            })*
            $crate::for_both_backends_at_once!($($story),*);
        }
    };
}
