//! Values at slash-separated paths: topic names that filters are matched against, or topic filters
//! that names are matched against (MQTT 5.0 §4.7).

use hashbrown::HashTable;
use slab::Slab;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::num::NonZeroU32;

/// Values at slash-separated paths, shared by the levels that paths begin with.
///
/// A path is split at each slash, so its levels may be empty: `a/b`, `/a/b`, `a/b/` and `a//b` are
/// four paths. Nothing else about a path is looked at; that names and filters are valid is for the
/// caller to see to.
///
/// All levels of all paths lie in one slab and are found through one hash table, so no walk
/// recurses, not even dropping, and a path of many levels costs no more for each than any other.
/// The room of removed paths is kept for new ones, until the tree is empty.
///
/// One million paths `sensors/<0..1000>/<0..1000>`, or as many filters, with a `usize` at each
/// take 99 bytes a path, and 101 at the peak; measured as the growth of the process's resident
/// memory from before the first insertion to after the last (glibc's allocator, x86-64). Matching a
/// random name of three levels takes 0.12 µs against one such filter or a thousand, and 0.8 µs
/// against a million, which no cache holds: 0.12 µs again where it is always the same name.
#[derive(Debug)]
pub(crate) struct LevelTree<V> {
    /// The first is the root: the level above the first level of all paths.
    nodes: Slab<Node<V>>,
    /// Finds a child by its parent and its level.
    edges: HashTable<Edge>,
    hasher: RandomState,
    len: usize,
}

impl<V> Default for LevelTree<V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<V> LevelTree<V> {
    /// No paths.
    #[must_use]
    pub(crate) fn new() -> Self {
        let mut nodes = Slab::new();
        let root = nodes.insert(Node::new(NodeId::ROOT, ""));
        assert_eq!(root, NodeId::ROOT.index(), "the first node of a slab");
        Self { nodes, edges: HashTable::new(), hasher: RandomState::new(), len: 0 }
    }

    /// How many paths have a value.
    #[must_use]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether no path has a value.
    #[cfg(test)]
    #[must_use]
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All values, in no order.
    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.nodes.iter().filter_map(|(_, node)| node.value.as_ref())
    }

    /// The value at `path`.
    #[must_use]
    pub(crate) fn get(&self, path: &str) -> Option<&V> {
        self.node(self.find(path)?).value.as_ref()
    }

    /// The value at `path`, to be changed.
    #[must_use]
    pub(crate) fn get_mut(&mut self, path: &str) -> Option<&mut V> {
        let id = self.find(path)?;
        self.node_mut(id).value.as_mut()
    }

    /// Puts `value` at `path`, and gives the one that was there.
    pub(crate) fn insert(&mut self, path: &str, value: V) -> Option<V> {
        let id = self.find_or_add(path);
        let before = self.node_mut(id).value.replace(value);
        self.len += usize::from(before.is_none());
        before
    }

    /// The value at `path`, which `make` makes where there is none.
    pub(crate) fn get_or_insert_with(&mut self, path: &str, make: impl FnOnce() -> V) -> &mut V {
        let id = self.find_or_add(path);
        let value = &mut self.nodes[id.index()].value;
        self.len += usize::from(value.is_none());
        value.get_or_insert_with(make)
    }

    /// Takes the value at `path`, and the levels that no other path has.
    pub(crate) fn remove(&mut self, path: &str) -> Option<V> {
        let id = self.find(path)?;
        let value = self.node_mut(id).value.take()?;
        self.len -= 1;
        if self.len == 0 {
            *self = Self::new();
        } else {
            self.prune(id);
        }
        Some(value)
    }

    /// Calls `visit` with the value of each path that `filter` matches, where paths are topic
    /// names. A filter that begins with a wildcard does not match names that begin with `$`
    /// (MQTT 5.0 §4.7.2).
    ///
    /// The cost is that of the levels, of all names, that the filter matches up to there.
    pub(crate) fn for_each_matching_path(&self, filter: &str, visit: &mut impl FnMut(&V)) {
        let mut steps = vec![Step::One(NodeId::ROOT, Some(filter))];
        while let Some(step) = steps.pop() {
            let (id, rest) = match step {
                Step::One(id, rest) => (id, rest),
                Step::AndThoseAfter(id, rest) => {
                    let next = self.node(id).next;
                    steps.extend(next.map(|next| Step::AndThoseAfter(next, rest)));
                    if self.is_hidden(id) {
                        continue;
                    }
                    (id, rest)
                }
            };
            let those_below = self.node(id).first_child;
            match rest.map(split_first_level) {
                None => self.visit(id, visit),
                Some((MANY_LEVELS, None)) => {
                    self.visit(id, visit);
                    steps.extend(those_below.map(|first| Step::AndThoseAfter(first, rest)));
                }
                Some((ONE_LEVEL, rest)) => {
                    steps.extend(those_below.map(|first| Step::AndThoseAfter(first, rest)));
                }
                Some((level, rest)) => {
                    steps.extend(self.child(id, level).map(|child| Step::One(child, rest)));
                }
            }
        }
    }

    /// Calls `visit` with the value of each path that matches `topic`, where paths are topic
    /// filters and `topic` is a topic name, so without wildcards. A filter that begins with a
    /// wildcard does not match a name that begins with `$` (MQTT 5.0 §4.7.2).
    ///
    /// The cost is that of the levels the name has, for each way to write some of them as `+` that
    /// filters begin with; it does not depend on how many other filters there are.
    pub(crate) fn for_each_matching_filter(&self, topic: &str, visit: &mut impl FnMut(&V)) {
        let mut steps = vec![(NodeId::ROOT, Some(topic))];
        while let Some((id, rest)) = steps.pop() {
            let split = rest.map(split_first_level);
            if id != NodeId::ROOT || !topic.starts_with(HIDDEN) {
                for child in self.wildcards(id) {
                    match (&*self.node(child).level, split) {
                        (MANY_LEVELS, _) => self.visit(child, visit),
                        (_, Some((_, rest))) => steps.push((child, rest)),
                        (_, None) => {}
                    }
                }
            }
            match split {
                Some((level, rest)) => {
                    steps.extend(self.child(id, level).map(|child| (child, rest)));
                }
                None => self.visit(id, visit),
            }
        }
    }
}

/// The levels of a tree, and what leads from one to the next.
impl<V> LevelTree<V> {
    fn node(&self, id: NodeId) -> &Node<V> {
        &self.nodes[id.index()]
    }

    fn node_mut(&mut self, id: NodeId) -> &mut Node<V> {
        &mut self.nodes[id.index()]
    }

    fn find(&self, path: &str) -> Option<NodeId> {
        path.split(SEPARATOR).try_fold(NodeId::ROOT, |id, level| self.child(id, level))
    }

    fn find_or_add(&mut self, path: &str) -> NodeId {
        path.split(SEPARATOR).fold(NodeId::ROOT, |id, level| match self.child(id, level) {
            Some(child) => child,
            None => self.add(id, level),
        })
    }

    fn child(&self, parent: NodeId, level: &str) -> Option<NodeId> {
        self.node(parent).first_child?;
        let hash = self.hash(parent, level);
        let is_sought = |edge: &Edge| {
            let node = || self.node(edge.child);
            edge.hash == hash && node().parent == parent && *node().level == *level
        };
        self.edges.find(spread(hash), is_sought).map(|edge| edge.child)
    }

    /// The children at `+` and `#`: they come before all others, so that no other is looked at.
    fn wildcards(&self, parent: NodeId) -> impl Iterator<Item = NodeId> {
        let first = self.node(parent).first_child;
        std::iter::successors(first, |id| self.node(*id).next)
            .take_while(|id| matches!(&*self.node(*id).level, ONE_LEVEL | MANY_LEVELS))
    }

    fn visit(&self, id: NodeId, visit: &mut impl FnMut(&V)) {
        self.node(id).value.iter().for_each(visit);
    }

    /// Whether a filter that begins with a wildcard does not match what lies here.
    fn is_hidden(&self, id: NodeId) -> bool {
        let node = self.node(id);
        node.parent == NodeId::ROOT && node.level.starts_with(HIDDEN)
    }

    fn hash(&self, parent: NodeId, level: &str) -> u32 {
        self.hasher.hash_one((parent, level)) as u32
    }

    fn add(&mut self, parent: NodeId, level: &str) -> NodeId {
        let mut node = Node::new(parent, level);
        if !matches!(level, ONE_LEVEL | MANY_LEVELS) {
            node.previous = self.wildcards(parent).last();
        }
        node.next = *self.link_after(parent, node.previous);
        let (previous, next) = (node.previous, node.next);
        let id = NodeId::at(self.nodes.insert(node));
        *self.link_after(parent, previous) = Some(id);
        if let Some(next) = next {
            self.node_mut(next).previous = Some(id);
        }
        let edge = Edge { hash: self.hash(parent, level), child: id };
        self.edges.insert_unique(spread(edge.hash), edge, |edge| spread(edge.hash));
        id
    }

    /// What leads to the child of `parent` that comes after `previous`, or first.
    fn link_after(&mut self, parent: NodeId, previous: Option<NodeId>) -> &mut Option<NodeId> {
        match previous {
            Some(previous) => &mut self.node_mut(previous).next,
            None => &mut self.node_mut(parent).first_child,
        }
    }

    /// Takes away the level at `id`, and those above it, as far as they lead nowhere.
    fn prune(&mut self, mut id: NodeId) {
        while id != NodeId::ROOT && self.node(id).leads_nowhere() {
            id = self.take_away(id).parent;
        }
    }

    fn take_away(&mut self, id: NodeId) -> Node<V> {
        let node = self.nodes.remove(id.index());
        let hash = spread(self.hash(node.parent, &node.level));
        let edge = self.edges.find_entry(hash, |edge| edge.child == id);
        edge.expect("every level but the root has an edge that leads to it").remove();
        *self.link_after(node.parent, node.previous) = node.next;
        if let Some(next) = node.next {
            self.node_mut(next).previous = node.previous;
        }
        node
    }
}

const SEPARATOR: char = '/';
const ONE_LEVEL: &str = "+";
const MANY_LEVELS: &str = "#";
const HIDDEN: char = '$';

/// The first level of a path, and the levels after it where there are any.
fn split_first_level(path: &str) -> (&str, Option<&str>) {
    path.split_once(SEPARATOR).map_or((path, None), |(level, rest)| (level, Some(rest)))
}

/// Where a walk over names goes on, with what is left of the filter.
enum Step<'filter> {
    One(NodeId, Option<&'filter str>),
    /// At this level, and at those that come after it below the same parent.
    AndThoseAfter(NodeId, Option<&'filter str>),
}

/// Which of a tree's levels; never 0, so that there being none takes no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct NodeId(NonZeroU32);

impl NodeId {
    const ROOT: Self = Self(NonZeroU32::MIN);

    fn at(index: usize) -> Self {
        let number = u32::try_from(index + 1).ok().and_then(NonZeroU32::new);
        Self(number.expect("limits on topics and subscriptions keep a tree far below 2^32 levels"))
    }

    fn index(self) -> usize {
        self.0.get() as usize - 1
    }
}

/// One level of some paths. The children of one parent are a list, wildcards first.
#[derive(Debug)]
struct Node<V> {
    level: Box<str>,
    value: Option<V>,
    parent: NodeId,
    first_child: Option<NodeId>,
    previous: Option<NodeId>,
    next: Option<NodeId>,
}

impl<V> Node<V> {
    fn new(parent: NodeId, level: &str) -> Self {
        let level = level.into();
        Self { level, value: None, parent, first_child: None, previous: None, next: None }
    }

    fn leads_nowhere(&self) -> bool {
        self.value.is_none() && self.first_child.is_none()
    }
}

/// What leads to a child. Its hash is kept, so that a growing table need not look at the children.
#[derive(Debug)]
struct Edge {
    hash: u32,
    child: NodeId,
}

/// The hash as the table wants it: good in its lowest bits and in its highest.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// MQTT 5.0 §4.7, level by level.
    fn matches(filter: &str, topic: &str) -> bool {
        if topic.starts_with('$') && filter.starts_with(['+', '#']) {
            return false;
        }
        let (filter, topic): (Vec<_>, Vec<_>) =
            (filter.split('/').collect(), topic.split('/').collect());
        let levels_match = |filter: &[&str], topic: &[&str]| {
            filter.iter().zip(topic).all(|(wanted, level)| *wanted == "+" || wanted == level)
        };
        match filter.split_last() {
            Some((&"#", above)) => above.len() <= topic.len() && levels_match(above, &topic),
            _ => filter.len() == topic.len() && levels_match(&filter, &topic),
        }
    }

    fn matching_paths(tree: &LevelTree<String>, filter: &str) -> Vec<String> {
        let mut found = Vec::new();
        tree.for_each_matching_path(filter, &mut |path| found.push(path.clone()));
        found.sort();
        found
    }

    fn matching_filters(tree: &LevelTree<String>, topic: &str) -> Vec<String> {
        let mut found = Vec::new();
        tree.for_each_matching_filter(topic, &mut |filter| found.push(filter.clone()));
        found.sort();
        found
    }

    /// A tree of paths, each with itself as its value.
    fn tree_of(paths: &[&str]) -> LevelTree<String> {
        let mut tree = LevelTree::new();
        for path in paths {
            tree.insert(path, (*path).to_owned());
        }
        tree
    }

    /// Holds `tree` against what it should hold, down to its links.
    fn check(tree: &LevelTree<String>, model: &BTreeMap<String, String>) {
        assert_eq!(tree.len(), model.len());
        assert_eq!(tree.is_empty(), model.is_empty());
        for (path, value) in model {
            assert_eq!(tree.get(path), Some(value), "{path:?}");
        }
        assert_eq!(tree.edges.len() + 1, tree.nodes.len(), "an edge to each level but the root");
        for (index, node) in &tree.nodes {
            let id = NodeId::at(index);
            assert!(id == NodeId::ROOT || !node.leads_nowhere(), "{:?} was not pruned", node.level);
            assert!(id == NodeId::ROOT || tree.child(node.parent, &node.level) == Some(id));
            let is_wildcard = |level: &str| level == "+" || level == "#";
            let children = std::iter::successors(node.first_child, |id| tree.node(*id).next);
            let wildcards = children.filter(|id| is_wildcard(&tree.node(*id).level)).count();
            assert_eq!(tree.wildcards(id).count(), wildcards, "wildcards come first");
            let mut previous = None;
            let mut next = node.first_child;
            while let Some(child) = next {
                assert_eq!(tree.node(child).parent, id);
                assert_eq!(tree.node(child).previous, previous);
                (previous, next) = (next, tree.node(child).next);
            }
        }
    }

    fn name() -> impl Strategy<Value = String> {
        let level = prop::sample::select(vec!["", "a", "b", "ab", "$", "$SYS", "é"]);
        prop::collection::vec(level, 1..5).prop_map(|levels| levels.join("/"))
    }

    fn filter() -> impl Strategy<Value = String> {
        let level = prop::sample::select(vec!["", "a", "b", "ab", "$", "$SYS", "é", "+", "+"]);
        let levels = prop::collection::vec(level, 0..5);
        (levels, any::<bool>()).prop_map(|(mut levels, is_many)| {
            if is_many || levels.is_empty() {
                levels.push("#");
            }
            levels.join("/")
        })
    }

    proptest! {
        #[test]
        fn holds_what_a_map_would_hold(
            steps in prop::collection::vec((prop_oneof![name(), filter()], 0u8..4), 0..80),
        ) {
            let (mut tree, mut model) = (LevelTree::new(), BTreeMap::new());
            for (number, (path, step)) in steps.into_iter().enumerate() {
                let value = format!("{number}");
                match step {
                    0 => prop_assert_eq!(
                        tree.insert(&path, value.clone()),
                        model.insert(path, value)
                    ),
                    1 => prop_assert_eq!(
                        tree.get_or_insert_with(&path, || value.clone()).clone(),
                        model.entry(path).or_insert(value).clone()
                    ),
                    2 => prop_assert_eq!(tree.get_mut(&path), model.get_mut(&path)),
                    _ => prop_assert_eq!(tree.remove(&path), model.remove(&path)),
                }
                check(&tree, &model);
            }
        }

        #[test]
        fn a_filter_finds_the_names_it_matches_each_once(
            names in prop::collection::btree_set(name(), 0..40),
            removed in prop::collection::vec(name(), 0..10),
            filter in filter(),
        ) {
            let mut tree = tree_of(&names.iter().map(String::as_str).collect::<Vec<_>>());
            removed.iter().for_each(|name| { tree.remove(name); });
            let expected: Vec<_> = names
                .into_iter()
                .filter(|name| !removed.contains(name) && matches(&filter, name))
                .collect();
            prop_assert_eq!(matching_paths(&tree, &filter), expected);
        }

        #[test]
        fn a_name_finds_the_filters_that_match_it_each_once(
            filters in prop::collection::btree_set(filter(), 0..40),
            removed in prop::collection::vec(filter(), 0..10),
            name in name(),
        ) {
            let mut tree = tree_of(&filters.iter().map(String::as_str).collect::<Vec<_>>());
            removed.iter().for_each(|filter| { tree.remove(filter); });
            let expected: Vec<_> = filters
                .into_iter()
                .filter(|filter| !removed.contains(filter) && matches(filter, &name))
                .collect();
            prop_assert_eq!(matching_filters(&tree, &name), expected);
        }
    }

    #[test]
    fn the_examples_of_the_standard_hold_both_ways() {
        let cases: [(&str, &[&str], &[&str]); 9] = [
            (
                "sport/tennis/player1/#",
                &[
                    "sport/tennis/player1",
                    "sport/tennis/player1/ranking",
                    "sport/tennis/player1/score/wimbledon",
                ],
                &["sport/tennis", "sport/tennis/player10"],
            ),
            ("sport/#", &["sport", "sport/"], &["sports", "/sport"]),
            ("#", &["a", "/", "a/b", ""], &["$SYS", "$SYS/a"]),
            ("sport/tennis/+", &["sport/tennis/player1"], &["sport/tennis/player1/ranking"]),
            ("sport/+", &["sport/"], &["sport"]),
            ("+/+", &["/finance"], &["finance"]),
            ("/+", &["/finance"], &["finance", "/a/b"]),
            ("+/monitor/Clients", &["a/monitor/Clients"], &["$SYS/monitor/Clients"]),
            ("$SYS/#", &["$SYS", "$SYS/monitor/Clients"], &["SYS"]),
        ];
        for (filter, matched, others) in cases {
            let names = tree_of(&[matched, others].concat());
            let mut expected: Vec<_> = matched.iter().map(|name| (*name).to_owned()).collect();
            expected.sort();
            assert_eq!(matching_paths(&names, filter), expected, "{filter}");
            let filters = tree_of(&[filter]);
            for name in matched {
                assert_eq!(matching_filters(&filters, name), [filter], "{name}");
            }
            for name in others {
                assert!(matching_filters(&filters, name).is_empty(), "{filter} {name}");
            }
        }
    }

    #[test]
    fn removing_the_last_path_gives_all_memory_back() {
        let mut tree = tree_of(&["a/b", "a/c", "d"]);
        for path in ["a/b", "d", "a/c"] {
            assert_eq!(tree.remove(path).as_deref(), Some(path));
        }
        assert!(tree.is_empty());
        assert!(tree.nodes.capacity() < 8 && tree.edges.capacity() == 0);
    }

    #[test]
    fn a_path_of_very_many_levels_needs_no_stack() {
        let walk = || {
            let topic = "/".repeat(65_534);
            let filter = format!("+{}/#", "/+".repeat(65_533));
            let mut names = tree_of(&[&topic]);
            assert_eq!(matching_paths(&names, &filter), [topic.as_str()]);
            assert_eq!(matching_paths(&names, "#"), [topic.as_str()]);
            let filters = tree_of(&[&filter, &topic, "#"]);
            assert_eq!(matching_filters(&filters, &topic).len(), 3);
            assert!(names.remove(&topic).is_some());
        };
        let thread = std::thread::Builder::new().stack_size(256 * 1024).spawn(walk);
        thread.expect("a thread starts").join().expect("no panic");
    }

    #[test]
    fn a_level_of_a_path_takes_48_bytes_of_the_slab() {
        assert_eq!(size_of::<Node<usize>>(), 48);
        assert_eq!(size_of::<Edge>(), 8);
    }
}
