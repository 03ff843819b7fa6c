//! `/facets`, `/fields` and `/fields/{name}/values`: which fields there are, and their values.

use axum::extract::{Path, State as Extract};
use axum::response::Response;
use logwarden_query::{FacetsRequest, FieldInfo};
use logwarden_store::identity::Action;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::routes;

use super::scope::{Scope, Word, control, names, refuse};
use super::shape::{Datum, List};
use crate::App;
use crate::auth::SignedIn;
use crate::body::Params;
use crate::error::ApiError;
use crate::json;
use crate::route::{Permission, Routes};

const SEARCH: Permission = Permission::May(Action::Search);

/// Values of each field when nothing is said.
const FACET_LIMIT_DEFAULT: usize = 10;
/// Suggested values when nothing is said.
const VALUES_LIMIT_DEFAULT: usize = 20;
/// Values of one field in one answer.
const VALUES_LIMIT_MAX: usize = 1_000;

/// Which values to count.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct FacetParams {
    /// The query.
    q: Option<String>,
    /// The first instant.
    from: Option<String>,
    /// The first instant after it.
    to: Option<String>,
    /// The fields, with commas between; at most 50.
    fields: Option<String>,
    /// Values wanted of each field; 10 when nothing is said, at most 1,000.
    limit: Option<usize>,
}

/// Which fields to list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct FieldParams {
    /// A part of the name; those that begin with it come first.
    prefix: Option<String>,
}

/// Which values to suggest.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct ValueParams {
    /// What values begin with; case is ignored.
    prefix: Option<String>,
    /// The first instant.
    from: Option<String>,
    /// The first instant after it.
    to: Option<String>,
    /// Values wanted; 20 when nothing is said, at most 1,000.
    limit: Option<usize>,
}

/// The most frequent values of each field.
#[derive(Serialize, ToSchema)]
struct Facets<'a> {
    /// Everything that lies in the range was read.
    complete: bool,
    /// In the order asked.
    fields: Vec<Facet<'a>>,
    /// Parts that could not be read, by name.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    unreadable: &'a [String],
}

/// The most frequent values of one field.
#[derive(Serialize, ToSchema)]
struct Facet<'a> {
    name: &'a str,
    r#type: &'static str,
    /// Most events first.
    values: Vec<CountedValue<'a>>,
    /// Different values there are.
    distinct: u64,
    /// Counts and `distinct` are exact.
    exact: bool,
}

/// A value with the events that have it.
#[derive(Serialize, ToSchema)]
struct CountedValue<'a> {
    #[schema(value_type = serde_json::Value)]
    value: Datum<'a>,
    count: u64,
}

/// A field that occurs.
#[derive(Debug, Serialize, ToSchema)]
struct Field {
    name: String,
    /// The types of its values.
    types: Vec<String>,
    /// Events that have it.
    count: u64,
    /// What it means, for a standard field.
    description: &'static str,
}

impl From<FieldInfo> for Field {
    fn from(field: FieldInfo) -> Self {
        let FieldInfo { name, types, count, description } = field;
        Self { name, types, count, description }
    }
}

pub(super) fn routes() -> Routes {
    Routes::new()
        .add(SEARCH, routes!(facets))
        .add(SEARCH, routes!(list))
        .add(SEARCH, routes!(values))
}

/// Counts the values of fields.
#[utoipa::path(
    get, path = "/api/v1/facets", tag = "search", params(FacetParams),
    responses((status = 200, body = Facets))
)]
async fn facets(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Params(params): Params<FacetParams>,
) -> Result<Response, ApiError> {
    let (from, to) = (params.from.map(Word::Text), params.to.map(Word::Text));
    let scope = Scope::read(&app, &caller, params.q, from, to)?;
    let request = FacetsRequest {
        query: scope.query.clone(),
        range: scope.range,
        fields: names(params.fields.as_deref()),
        limit: params.limit.unwrap_or(FACET_LIMIT_DEFAULT).min(VALUES_LIMIT_MAX),
        visibility: scope.visibility.clone(),
    };
    let (control, _guard) = control(&caller);
    let answer = app.engine.facets(request, control).await.map_err(refuse)?;
    scope.note(&app, &caller, "facets", answer.fields.len() as u64);
    let fields = answer.fields.iter().map(|facet| Facet {
        name: &facet.name,
        r#type: facet.type_name,
        values: counted(&facet.values),
        distinct: facet.distinct,
        exact: facet.exact,
    });
    let coverage = &answer.coverage;
    let facets = Facets {
        complete: coverage.complete,
        fields: fields.collect(),
        unreadable: &coverage.unreadable,
    };
    Ok(json::response(|out| json::write_serialized(&facets, out)))
}

/// Lists the fields that occur.
#[utoipa::path(
    get, path = "/api/v1/fields", tag = "search", params(FieldParams),
    responses((status = 200, body = List<Field>))
)]
async fn list(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Params(params): Params<FieldParams>,
) -> Result<axum::Json<List<Field>>, ApiError> {
    let scope = Scope::read(&app, &caller, None, None, None)?;
    let (control, _guard) = control(&caller);
    let prefix = params.prefix.unwrap_or_default();
    let found = app.engine.fields(&prefix, scope.visibility, control).await.map_err(refuse)?;
    let mut items: Vec<Field> = found.into_iter().map(Field::from).collect();
    items.sort_by_key(|field| !field.name.starts_with(&prefix));
    Ok(axum::Json(List::whole(items)))
}

/// Suggests values of a field.
#[utoipa::path(
    get, path = "/api/v1/fields/{name}/values", tag = "search",
    params(("name" = String, Path, description = "The field."), ValueParams),
    responses((status = 200, body = List<CountedValue>))
)]
async fn values(
    Extract(app): Extract<App>,
    SignedIn(caller): SignedIn,
    Path(name): Path<String>,
    Params(params): Params<ValueParams>,
) -> Result<Response, ApiError> {
    let (from, to) = (params.from.map(Word::Text), params.to.map(Word::Text));
    let mut scope = Scope::read(&app, &caller, None, from, to)?;
    let prefix = params.prefix.unwrap_or_default();
    let limit = params.limit.unwrap_or(VALUES_LIMIT_DEFAULT).min(VALUES_LIMIT_MAX);
    let (control, _guard) = control(&caller);
    let visibility = scope.visibility.clone();
    let values = app.engine.values(&name, &prefix, scope.range, limit, visibility, control);
    let facet = values.await.map_err(refuse)?;
    scope.text = format!("values of {name} with {prefix}*");
    scope.note(&app, &caller, "values", facet.values.len() as u64);
    let list = List::whole(counted(&facet.values));
    Ok(json::response(|out| json::write_serialized(&list, out)))
}

fn counted(values: &[(logwarden_query::Cell, u64)]) -> Vec<CountedValue<'_>> {
    values.iter().map(|(cell, count)| CountedValue { value: Datum(cell), count: *count }).collect()
}
