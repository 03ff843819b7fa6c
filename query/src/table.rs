//! Tables: what an aggregation gives, and the pipes that work on its rows.

use logwarden_event::Value;

use crate::cell::{Cell, Directed};
use crate::filter::{Filter, Subject, Target};
use crate::language::{Pipe, SortKey};

/// Rows under named columns: groups first, then figures in the order asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// The columns.
    pub columns: Vec<Column>,
    /// The rows; each has a cell for each column.
    pub rows: Vec<Vec<Cell>>,
}

/// One column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// A field, or a figure such as `count` or `p95(http.duration)`.
    pub name: String,
    /// The type of its cells, as [`Value::type_name`] gives it; `string` when they differ.
    pub type_name: &'static str,
}

impl Table {
    /// A table whose column types are those of its cells; `usual` where there is none.
    pub(crate) fn new(columns: Vec<(String, &'static str)>, rows: Vec<Vec<Cell>>) -> Self {
        let type_of = |place: usize, usual: &'static str| {
            let mut types = rows.iter().filter_map(|row| match &row[place] {
                Cell::Null => None,
                cell => Some(cell.value().type_name()),
            });
            match types.next() {
                None => usual,
                Some(first) if types.all(|other| other == first) => first,
                Some("integer" | "float") if is_numeric(&rows, place) => "float",
                Some(_) => "string",
            }
        };
        let columns = columns.into_iter().enumerate();
        let columns = columns
            .map(|(place, (name, usual))| Column { type_name: type_of(place, usual), name })
            .collect();
        Self { columns, rows }
    }

    /// Works on the rows as the pipes say, in order.
    pub(crate) fn apply(&mut self, pipes: &[Pipe]) {
        for pipe in pipes {
            match pipe {
                Pipe::Where(filter) => self.keep(filter),
                Pipe::Sort(keys) => self.sort(keys),
                Pipe::Head(rows) => self.rows.truncate(*rows),
                Pipe::Fields(names) => self.choose(names),
                Pipe::Aggregate(_) | Pipe::Patterns => {}
            }
        }
    }

    fn place(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    fn keep(&mut self, filter: &Filter) {
        let Self { columns, rows } = self;
        rows.retain(|cells| filter.holds(&Row { columns, cells }));
    }

    fn sort(&mut self, keys: &[SortKey]) {
        let places: Vec<(usize, bool)> = keys
            .iter()
            .filter_map(|key| Some((self.place(&key.name)?, key.is_descending)))
            .collect();
        sort_rows(&mut self.rows, &places);
    }

    fn choose(&mut self, names: &[String]) {
        let places: Vec<usize> = names.iter().filter_map(|name| self.place(name)).collect();
        self.columns = places.iter().map(|place| self.columns[*place].clone()).collect();
        for row in &mut self.rows {
            *row = places.iter().map(|place| row[*place].clone()).collect();
        }
    }
}

/// Sorts by these columns, the first one first, each descending or not.
pub(crate) fn sort_rows(rows: &mut [Vec<Cell>], places: &[(usize, bool)]) {
    // A rank of a text holds it: made once for a row, not at every comparison.
    rows.sort_by_cached_key(|row| {
        let rank = |(place, is_descending): &(usize, bool)| {
            Directed::of(row[*place].value(), *is_descending)
        };
        places.iter().map(rank).collect::<Vec<_>>()
    });
}

fn is_numeric(rows: &[Vec<Cell>], place: usize) -> bool {
    let is_number =
        |row: &Vec<Cell>| matches!(row[place], Cell::Null | Cell::Integer(_) | Cell::Float(_));
    rows.iter().all(is_number)
}

struct Row<'a> {
    columns: &'a [Column],
    cells: &'a [Cell],
}

impl Subject for Row<'_> {
    fn any_value(&self, target: &Target, test: &mut dyn FnMut(Value<'_>) -> bool) -> bool {
        let mut named = |name: &str| {
            let place = self.columns.iter().position(|column| column.name == name);
            place.is_some_and(|place| test(self.cells[place].value()))
        };
        match target {
            Target::Record => self.cells.iter().any(|cell| test(cell.value())),
            Target::FirstOf(names) => names.iter().any(|name| named(name)),
            target => target.name().is_some_and(named),
        }
    }
}
