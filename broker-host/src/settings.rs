//! What the command line and the config file together mean.

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroUsize;

use broker_core::limits::LimitError;
use broker_core::{Limits, TopicRules};
use protocol::{StorageClass, TopicOptions};
use thiserror::Error;

use crate::Backend;
use crate::choices::{Choices, LISTEN_DEFAULT, listen_default};
use crate::config_file::ConfigFile;
use crate::listen_name::ListenName;
use crate::logging::LogSettings;
use crate::storage_choices::Storage;
use crate::topic_rule_choices::TopicRuleError;

/// Everything that a broker was told, or else its defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The addresses to listen on, at least one, no two the same; port 0 takes any free port.
    pub listen: Vec<SocketAddr>,
    /// Where messages are kept.
    pub storage: Storage,
    /// What topics are made with where their creators did not say.
    pub topic_rules: TopicRules,
    /// Whether a publication by MQTT makes the topic that is not there.
    pub mqtt_creates_topics: bool,
    /// The limits, which hold together.
    pub limits: Limits,
    /// What is logged, and how.
    pub log: LogSettings,
    /// Event loops to run; `None` leaves it to the backend.
    pub loops: Option<NonZeroUsize>,
}

impl Default for Settings {
    /// What a broker does that was told nothing.
    fn default() -> Self {
        let storage = Storage::default();
        Self {
            listen: LISTEN_DEFAULT.to_vec(),
            topic_rules: TopicRules::new(Vec::new(), otherwise(&storage)),
            storage,
            mqtt_creates_topics: true,
            limits: Limits::default(),
            log: LogSettings::default(),
            loops: None,
        }
    }
}

/// Choices that mean nothing together, or nothing on this machine. Each names
/// the place where the choice was made, a flag or a line of the config file.
#[derive(Debug, Error)]
pub(crate) enum SettingsError {
    /// A rule for topics that cannot be followed.
    #[error("{place}: {source}")]
    Rule { place: String, source: TopicRuleError },
    /// A rule for topics on disk, of a broker that keeps all in memory.
    #[error(
        "{place}: expected storage in memory, since all messages are kept there, but found disk; \
         remove the line, or choose a directory with data"
    )]
    RuleOnDisk { place: String },
    /// The config file says both.
    #[error("{place}: expected either memory or data, but found both; remove one of them")]
    MemoryAndData { place: String },
    /// The config file chooses the loops of a backend that has none.
    #[error(
        "{place}: expected no choice of event loops, but found one: the {backend} backend has \
         none; remove the line"
    )]
    NoLoops { place: String, backend: &'static str },
    /// The config file lists no address.
    #[error(
        "{place}: expected at least one address, but found none; remove the line to listen on \
         {}",
        listen_default()
    )]
    ListenEmpty { place: String },
    /// A name that stands for no address.
    #[error(
        "{place}: expected a host name that this machine can resolve, but found {name}: {source}; \
         correct the name, or give an address"
    )]
    Unresolved { place: String, name: ListenName, source: io::Error },
    /// One address, given twice.
    #[error("{place}: expected different addresses, but found {address} twice; remove one of them")]
    ListenTwice { place: String, address: SocketAddr },
    /// A limit that leaves no room for another.
    #[error("{place}: {source}")]
    Limits { place: String, source: LimitError },
}

/// The way to learn the addresses of a name: it asks the system, or a test's table.
pub(crate) type Resolve<'a> = &'a dyn Fn(&ListenName) -> io::Result<Vec<SocketAddr>>;

impl Settings {
    /// What `typed` and `file` mean together on `backend`: what was typed
    /// overrides the file, and defaults fill the rest.
    ///
    /// # Errors
    /// The first choice that cannot be followed.
    pub(crate) fn from_choices(
        backend: &Backend,
        typed: Choices,
        file: Option<&ConfigFile>,
        resolve: Resolve<'_>,
    ) -> Result<Self, SettingsError> {
        let places = Places { typed: typed.clone(), file };
        let said = typed.over(file.map(|file| file.choices.clone()).unwrap_or_default());
        if said.loops.is_some() && !backend.takes_loops {
            let place = places.of("loops");
            return Err(SettingsError::NoLoops { place, backend: backend.name });
        }
        let storage = storage(&said, &places)?;
        Ok(Self {
            topic_rules: topic_rules(&said, &storage, &places)?,
            storage,
            mqtt_creates_topics: said.mqtt_creates_topics.unwrap_or(true),
            log: said.log(),
            loops: said.loops,
            listen: listen(said.listen, &places, resolve)?,
            limits: limits(said.limits.limits(), &places)?,
        })
    }
}

fn storage(said: &Choices, places: &Places<'_>) -> Result<Storage, SettingsError> {
    if said.memory == Some(true) && said.data.is_some() {
        return Err(SettingsError::MemoryAndData { place: places.of("data") });
    }
    Ok(Storage::from_choices(said))
}

fn topic_rules(
    said: &Choices,
    storage: &Storage,
    places: &Places<'_>,
) -> Result<TopicRules, SettingsError> {
    let said = said.topics.as_deref().unwrap_or_default();
    let mut rules = Vec::with_capacity(said.len());
    for (index, choices) in said.iter().enumerate() {
        let place = |key: &str| places.of(&format!("topics[{index}].{key}"));
        if choices.is_on_disk() && *storage == Storage::Memory {
            return Err(SettingsError::RuleOnDisk { place: place("storage") });
        }
        match choices.rule() {
            Ok(rule) => rules.push(rule),
            Err(source) => {
                return Err(SettingsError::Rule { place: place(source.key), source });
            }
        }
    }
    Ok(TopicRules::new(rules, otherwise(storage)))
}

/// What holds for topics that neither their creator nor a rule says anything of.
fn otherwise(storage: &Storage) -> TopicOptions {
    let (class, durability) = match storage {
        Storage::Memory => (StorageClass::Memory, None),
        Storage::Disk(disk) => (StorageClass::Disk, Some(disk.durability)),
    };
    TopicOptions { storage: Some(class), durability, ..TopicOptions::default() }
}

fn listen(
    names: Option<Vec<ListenName>>,
    places: &Places<'_>,
    resolve: Resolve<'_>,
) -> Result<Vec<SocketAddr>, SettingsError> {
    let Some(names) = names else {
        return Ok(LISTEN_DEFAULT.to_vec());
    };
    let place = places.of("listen");
    if names.is_empty() {
        return Err(SettingsError::ListenEmpty { place });
    }
    let mut addresses = Vec::with_capacity(names.len());
    for name in names {
        let address = match resolve(&name).and_then(|addresses| preferred(&addresses)) {
            Ok(address) => address,
            Err(source) => return Err(SettingsError::Unresolved { place, name, source }),
        };
        if address.port() != 0 && addresses.contains(&address) {
            return Err(SettingsError::ListenTwice { place, address });
        }
        addresses.push(address);
    }
    Ok(addresses)
}

/// The one of a name's addresses that is listened on: the first of IPv4, which
/// every machine has, or else the first.
fn preferred(addresses: &[SocketAddr]) -> io::Result<SocketAddr> {
    let first = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
    first.copied().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "it has no address"))
}

fn limits(limits: Limits, places: &Places<'_>) -> Result<Limits, SettingsError> {
    match limits.check() {
        Ok(()) => Ok(limits),
        Err(source) => Err(SettingsError::Limits { place: places.of_limit(source.key), source }),
    }
}

/// Knows where each choice was made.
struct Places<'a> {
    typed: Choices,
    file: Option<&'a ConfigFile>,
}

impl Places<'_> {
    /// The place of a choice other than a limit.
    fn of(&self, key: &str) -> String {
        let typed = match key {
            "listen" => self.typed.listen.is_some(),
            "memory" | "data" => self.typed.memory.is_some() || self.typed.data.is_some(),
            // The command line refuses the rest by itself.
            _ => false,
        };
        self.place(typed, key, key)
    }

    fn of_limit(&self, key: &str) -> String {
        self.place(self.typed.limits.says(key), key, &format!("limits.{key}"))
    }

    fn place(&self, typed: bool, key: &str, file_key: &str) -> String {
        let flag = || format!("--{}", key.replace('_', "-"));
        let in_file = || self.file.and_then(|file| file.place(file_key));
        if typed { flag() } else { in_file().unwrap_or_else(|| "the default".into()) }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use protocol::Durability;

    use super::*;
    use crate::logging::{LogFormat, LogLevel};

    const MIO: Backend = Backend { name: "mio", summary: "", version: "0.1.0", takes_loops: true };
    const THREADED: Backend = Backend { name: "threaded", takes_loops: false, ..MIO };

    /// Knows a few names, without asking the system.
    fn resolve(name: &ListenName) -> io::Result<Vec<SocketAddr>> {
        let texts: &[&str] = match name.to_string().as_str() {
            "localhost:8080" => &["[::1]:8080", "127.0.0.1:8080"],
            "six:8080" => &["[::1]:8080", "[::2]:8080"],
            "empty:8080" => &[],
            text if text.starts_with("nowhere") => return Err(io::Error::other("unknown name")),
            _ => return name.resolve(),
        };
        Ok(texts.iter().map(|text| address(text)).collect())
    }

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    fn file(text: &str) -> ConfigFile {
        ConfigFile::parse(Path::new("broker.toml"), text).expect("a good file")
    }

    /// What `flags` mean over a config file with `text`.
    fn settings_on(
        backend: &Backend,
        flags: &str,
        text: Option<&str>,
    ) -> Result<Settings, SettingsError> {
        let flags = format!("tandem-test {flags}");
        let line = flags.split_whitespace().map(Into::into);
        let typed = crate::command_line::parse(backend, line).expect("good flags").choices;
        Settings::from_choices(backend, typed, text.map(file).as_ref(), &resolve)
    }

    fn settings(flags: &str, text: &str) -> Settings {
        settings_on(&MIO, flags, Some(text)).expect("good settings")
    }

    #[track_caller]
    fn check_refused(flags: &str, text: &str, expected: &str) {
        let error = settings_on(&MIO, flags, Some(text)).expect_err("refused").to_string();
        assert!(error.starts_with(expected), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }

    #[test]
    fn nothing_said_means_the_defaults() {
        let nothing = settings_on(&MIO, "", None).expect("defaults");
        assert_eq!(nothing, Settings::default());
        assert_eq!(settings("", ""), nothing);
        assert_eq!(nothing.listen, [address("127.0.0.1:8080"), address("127.0.0.1:1883")]);
        assert_eq!(nothing.limits.check(), Ok(()));
    }

    #[test]
    fn the_example_file_says_every_key_at_its_default() {
        let text = include_str!("../../configs/broker.toml");
        assert_eq!(settings("", text), Settings::default());
        let example = file(text);
        let limits = format!("{:#?}", Limits::default());
        let limits = limits.lines().filter_map(|line| line.trim().split_once(": "));
        for (key, _) in limits {
            assert!(example.choices.limits.says(key), "{key} is missing");
        }
        for key in ["listen", "data", "durability", "recover", "log_level", "log_format"] {
            assert!(example.place(key).is_some(), "{key} is missing");
        }
        let with_loops = text.replace("# loops = 2", "loops = 2");
        assert_eq!(settings("", &with_loops).loops, NonZeroUsize::new(2));
    }

    #[test]
    fn a_flag_overrides_the_file_and_the_rest_of_the_file_stays() {
        let text = "listen = ['127.0.0.1:1', '127.0.0.1:2']\nlog_level = 'debug'\n\
                    log_format = 'json'\nloops = 3\n[limits]\ntopics_max = 5\nlinger_ms_max = 6\n";
        let both = settings("--listen 127.0.0.1:3 --log-level warn --topics-max 7", text);
        assert_eq!(both.listen, [address("127.0.0.1:3")]);
        assert_eq!(both.log, LogSettings { level: LogLevel::Warn, format: LogFormat::Json });
        assert_eq!(both.loops, NonZeroUsize::new(3));
        assert_eq!((both.limits.topics_max, both.limits.linger_ms_max), (7, 6));
        assert_eq!(settings("--loops 4", text).loops, NonZeroUsize::new(4));
    }

    #[test]
    fn a_name_stands_for_its_first_ipv4_address_or_else_its_first() {
        let listen = settings("--listen localhost:8080 --listen six:8080", "").listen;
        assert_eq!(listen, [address("127.0.0.1:8080"), address("[::1]:8080")]);
    }

    #[test]
    fn a_name_without_an_address_is_told_with_its_place() {
        let expected = "a host name that this machine can resolve, but found";
        let flag = format!("--listen: expected {expected} nowhere:1: unknown name; ");
        check_refused("--listen nowhere:1", "listen = ['127.0.0.1:1']", &flag);
        let line = format!("broker.toml:2: listen: expected {expected} empty:8080: it has no ");
        check_refused("", "\nlisten = ['empty:8080']", &line);
    }

    #[test]
    fn an_address_given_twice_is_refused_but_port_0_is_a_new_port_each_time() {
        let expected = "--listen: expected different addresses, but found 127.0.0.1:8080 twice";
        check_refused("--listen localhost:8080 --listen 127.0.0.1:8080", "", expected);
        assert_eq!(settings("--listen 127.0.0.1:0 --listen 127.0.0.1:0", "").listen.len(), 2);
        check_refused("", "listen = []", "broker.toml:1: listen: expected at least one address");
    }

    #[test]
    fn memory_typed_hides_a_directory_in_the_file_and_the_other_way_round() {
        let text = "data = 'd'\ndurability = 'os'\nrecover = 'quarantine'";
        assert_eq!(settings("--memory", text).storage, Storage::Memory);
        let Storage::Disk(disk) = settings("--data e", "memory = true").storage else {
            panic!("expected storage on disk");
        };
        assert_eq!(disk.dir, Path::new("e"));
    }

    #[test]
    fn memory_and_data_exclude_each_other_in_the_file_too() {
        let text = "memory = true\ndata = 'd'";
        check_refused("", text, "broker.toml:2: data: expected either memory or data");
    }

    /// What the rules in the config file `text` mean for a topic, on disk or in memory.
    fn rules_in(text: &str, storage: &Storage) -> Result<TopicRules, SettingsError> {
        let file = file(text);
        let typed = Choices::default();
        topic_rules(&file.choices, storage, &Places { typed, file: Some(&file) })
    }

    fn on_disk() -> Storage {
        Storage::from_choices(&Choices::default())
    }

    #[test]
    fn rules_go_before_what_holds_for_all_topics() {
        let text = "[[topics]]\npattern = 'metrics/*'\nstorage = 'memory'\n\
                    [[topics]]\npattern = '*'\ndurability = 'os'\n";
        let rules = rules_in(text, &on_disk()).expect("good rules");
        let options = |name| rules.options_for(name, TopicOptions::default());
        let (memory, disk) = (Some(StorageClass::Memory), Some(StorageClass::Disk));
        assert_eq!(options("metrics/cpu"), TopicOptions { storage: memory, ..Default::default() });
        let os = Some(Durability::Os);
        let expected = TopicOptions { storage: disk, durability: os, ..Default::default() };
        assert_eq!(options("News"), expected);
        let rules = rules_in("", &on_disk()).expect("no rules");
        let sync = Some(Durability::Sync);
        let expected = TopicOptions { durability: sync, ..expected };
        assert_eq!(rules.options_for("News", TopicOptions::default()), expected);
    }

    #[test]
    fn a_rule_that_cannot_be_followed_is_told_with_its_line() {
        let text = "[[topics]]\npattern = '*'\nstorage = 'disk'\n";
        assert!(rules_in(text, &on_disk()).is_ok());
        let error = rules_in(text, &Storage::Memory).expect_err("all in memory").to_string();
        let expected = "broker.toml:3: topics[0].storage: expected storage in memory";
        assert!(error.starts_with(expected), "{error}");
        let text = "[[topics]]\npattern = 'a'\n[[topics]]\npattern = ''\n";
        let error = rules_in(text, &on_disk()).expect_err("an empty pattern").to_string();
        let expected = "broker.toml:4: topics[1].pattern: expected a pattern of names";
        assert!(error.starts_with(expected), "{error}");
    }

    #[test]
    fn loops_in_the_file_of_a_backend_without_any_are_refused() {
        let error = settings_on(&THREADED, "", Some("\nloops = 2")).expect_err("refused");
        let expected = "broker.toml:2: loops: expected no choice of event loops, but found one: \
                        the threaded backend has none; remove the line";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn limits_that_do_not_hold_together_are_told_with_the_place_of_the_one_at_fault() {
        let least = "topic_bytes_max must be at least 8454144 bytes, but it is 10";
        check_refused("--topic-bytes-max 10", "", &format!("--topic-bytes-max: {least}"));
        let text = "[limits]\ntopic_bytes_max = 10";
        check_refused("", text, &format!("broker.toml:2: limits.topic_bytes_max: {least}"));
        check_refused("--message-bytes-max 32MiB", "", "the default: frame_bytes_max must be at ");
    }

    #[test]
    fn the_largest_limits_overflow_nothing() {
        let flags = "--message-bytes-max 9223372036854775807";
        assert!(matches!(settings_on(&MIO, flags, None), Err(SettingsError::Limits { .. })));
    }
}
