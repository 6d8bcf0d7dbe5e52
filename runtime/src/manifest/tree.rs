//! Settings as a tree in which each value knows where it was written. Trees of several sources are laid over each other.
//! It knows no key and no rule.

use std::ops::Range;
use std::sync::Arc;

use indexmap::IndexMap;
use toml_edit::{Item, TableLike, Value};

use crate::diagnostic::{Code, Problem, Source};

/// A span of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) source: Arc<Source>,
    pub(super) span: Range<usize>,
}

impl Place {
    /// Where a value stands, as a listing says it: `sandbus.toml:12`, `--dest on the command line`, `default`.
    pub(super) fn origin(&self) -> String {
        match self.source.name() {
            BUILT_IN => BUILT_IN.to_owned(),
            flag if flag.starts_with("--") => format!("{flag} on the command line"),
            file => format!("{file}:{}", self.source.line_column(self.span.start).0),
        }
    }

    /// `problem` with this as its place.
    pub(super) fn mark(&self, problem: Problem, text: impl Into<String>) -> Problem {
        problem.with_source(Arc::clone(&self.source)).with_label(text, self.span.clone())
    }
}

/// The name of a source that no one wrote.
pub(super) const BUILT_IN: &str = "default";

/// A value and its place.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) place: Place,
}

/// A table: the keys in their order.
pub(super) type Table = IndexMap<String, Entry>;

/// A value under a key.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: Place,
    pub(super) node: Node,
}

/// What a value is.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    Table(Table),
    List(Vec<Node>),
    Text(String),
    /// Text from the command line, where a number needs no other notation.
    Word(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    Time,
}

impl Kind {
    /// What it is called in an error text.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Kind::Table(_) => "a table",
            Kind::List(_) => "a list",
            Kind::Text(_) | Kind::Word(_) => "text",
            Kind::Integer(_) => "a number",
            Kind::Float(_) => "a number with a fraction",
            Kind::Boolean(_) => "a boolean",
            Kind::Time => "a date or time",
        }
    }
}

impl Node {
    /// An empty table.
    pub(super) fn empty(place: Place) -> Self {
        Self { kind: Kind::Table(Table::new()), place }
    }

    /// The value as a table.
    pub(super) fn table(&self) -> Option<&Table> {
        match &self.kind {
            Kind::Table(table) => Some(table),
            _ => None,
        }
    }

    /// The value under a path of keys.
    pub(super) fn find(&self, path: &[&str]) -> Option<&Entry> {
        let (last, before) = path.split_last()?;
        let mut table = self.table()?;
        for name in before {
            table = table.get(*name)?.node.table()?;
        }
        table.get(*last)
    }

    /// Lays `over` on top: tables merge, everything else is replaced.
    pub(super) fn lay_over(&mut self, over: Node) {
        match (&mut self.kind, over.kind) {
            (Kind::Table(below), Kind::Table(above)) => {
                for (name, entry) in above {
                    match below.get_mut(&name) {
                        Some(old) if is_table(&old.node) && is_table(&entry.node) => {
                            old.node.lay_over(entry.node);
                        }
                        Some(old) => *old = entry,
                        None => {
                            below.insert(name, entry);
                        }
                    }
                }
            }
            (_, kind) => *self = Node { kind, place: over.place },
        }
    }

    /// Puts a value under a path, making the tables on the way. Returns false when something else is in the way.
    pub(super) fn put(&mut self, path: &[&str], entry: Entry) -> bool {
        let Some((first, rest)) = path.split_first() else { return false };
        let Kind::Table(table) = &mut self.kind else { return false };
        if rest.is_empty() {
            table.insert((*first).to_owned(), entry);
            return true;
        }
        let below = table
            .entry((*first).to_owned())
            .or_insert_with(|| Entry { key: entry.key.clone(), node: Node::empty(entry.key.clone()) });
        below.node.put(rest, entry)
    }
}

fn is_table(node: &Node) -> bool {
    matches!(node.kind, Kind::Table(_))
}

/// Reads TOML.
///
/// # Errors
/// The first place that is not TOML.
pub(super) fn parse(source: &Arc<Source>) -> Result<Node, Box<Problem>> {
    match toml_edit::Document::parse(source.text()) {
        Ok(document) => {
            let place = Place { source: Arc::clone(source), span: 0..0 };
            Ok(Node { kind: Kind::Table(table_of(document.as_table(), &place)), place })
        }
        Err(error) => Err(Box::new(not_toml(source, &error))),
    }
}

fn not_toml(source: &Arc<Source>, error: &toml_edit::TomlError) -> Problem {
    let span = error.span().unwrap_or(0..0);
    let place = Place { source: Arc::clone(source), span: span.clone() };
    if error.message().starts_with("duplicate key") {
        let key = source.text().get(span).unwrap_or_default();
        let problem = Problem::new(Code::Duplicate, format!("key `{key}` is defined twice"));
        return place.mark(problem.with_usual_help(), "this is the second time");
    }
    let problem = Problem::new(Code::NotToml, format!("not TOML: {}", error.message())).with_usual_help();
    place.mark(problem, "here")
}

fn table_of(table: &dyn TableLike, at: &Place) -> Table {
    let mut out = Table::new();
    for (name, item) in table.iter() {
        let key_span = table.key(name).and_then(toml_edit::Key::span);
        let key = place(at, key_span.or_else(|| item.span()));
        if let Some(node) = node_of(item, &key) {
            out.insert(name.to_owned(), Entry { key, node });
        }
    }
    out
}

fn node_of(item: &Item, key: &Place) -> Option<Node> {
    match item {
        Item::None => None,
        Item::Value(value) => Some(node_of_value(value, key)),
        Item::Table(table) => {
            Some(Node { kind: Kind::Table(table_of(table, key)), place: place(key, table.span()) })
        }
        Item::ArrayOfTables(list) => {
            let tables = list.iter().map(|table| Node {
                kind: Kind::Table(table_of(table, key)),
                place: place(key, table.span()),
            });
            Some(Node { kind: Kind::List(tables.collect()), place: key.clone() })
        }
    }
}

fn node_of_value(value: &Value, key: &Place) -> Node {
    let at = place(key, value.span());
    let kind = match value {
        Value::String(text) => Kind::Text(text.value().clone()),
        Value::Integer(number) => Kind::Integer(*number.value()),
        Value::Float(number) => Kind::Float(*number.value()),
        Value::Boolean(truth) => Kind::Boolean(*truth.value()),
        Value::Datetime(_) => Kind::Time,
        Value::Array(list) => Kind::List(list.iter().map(|item| node_of_value(item, &at)).collect()),
        Value::InlineTable(table) => Kind::Table(table_of(table, &at)),
    };
    Node { kind, place: at }
}

/// The place of `span`, or `near` where the parser knows none (tables made by dotted keys).
fn place(near: &Place, span: Option<Range<usize>>) -> Place {
    match span {
        Some(span) => Place { source: Arc::clone(&near.source), span },
        None => near.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(name: &str, text: &str) -> Node {
        parse(&Source::new(name, text)).unwrap()
    }

    #[test]
    fn values_and_keys_know_where_they_stand() {
        let root = tree("x.toml", "[a.\"b/c\"]\nd.e = [1, 2]\n");
        let entry = root.find(&["a", "b/c", "d", "e"]).unwrap();
        assert_eq!(entry.node.place.span, 16..22);
        assert_eq!(entry.node.place.origin(), "x.toml:2");
        assert_eq!(root.find(&["a", "b/c"]).unwrap().key.span, 3..8);
    }

    #[test]
    fn tables_merge_and_everything_else_is_replaced() {
        let mut below = tree("x.toml", "[a]\nlist = [1, 2]\nn = 1\n");
        below.lay_over(tree("--set", "[a]\nlist = [3]\n[b]\nx = 1\n"));
        let list = below.find(&["a", "list"]).unwrap();
        assert!(matches!(&list.node.kind, Kind::List(items) if items.len() == 1));
        assert_eq!(list.node.place.origin(), "--set on the command line");
        assert!(below.find(&["a", "n"]).is_some() && below.find(&["b", "x"]).is_some());
    }

    #[test]
    fn what_is_not_toml_is_told_with_its_place() {
        let problem = parse(&Source::new("x.toml", "a = 1\nb = [1, 2\n")).unwrap_err();
        assert_eq!(problem.code(), Code::NotToml);
        assert!(problem.line_column().unwrap().0 >= 2, "{problem}");
        let problem = parse(&Source::new("x.toml", "a = 1\na = 2\n")).unwrap_err();
        assert_eq!(problem.to_string(), "x.toml:2:1: key `a` is defined twice (SB0106)");
    }
}
