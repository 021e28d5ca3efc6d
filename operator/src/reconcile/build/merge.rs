//! The merge of a job's `podTemplate` with the fields that the operator sets: objects field by field, lists of named items by their names.

use serde_json::{Map, Value};

/// The value of `base` with the fields of `over` laid over it.
pub(super) fn merge(base: Value, over: Value) -> Value {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => Value::Object(objects(base, over)),
        (Value::Array(base), Value::Array(over)) if named(&base) && named(&over) => Value::Array(lists(base, over)),
        (_, over) => over,
    }
}

fn objects(mut base: Map<String, Value>, over: Map<String, Value>) -> Map<String, Value> {
    for (field, value) in over {
        let merged = match base.remove(&field) {
            Some(below) => merge(below, value),
            None => value,
        };
        base.insert(field, merged);
    }
    base
}

fn name(item: &Value) -> Option<&str> {
    item.get("name").and_then(Value::as_str)
}

fn named(items: &[Value]) -> bool {
    items.iter().all(|i| name(i).is_some())
}

fn lists(mut base: Vec<Value>, over: Vec<Value>) -> Vec<Value> {
    for item in over {
        match base.iter_mut().find(|b| name(b) == name(&item)) {
            Some(same) => *same = merge(same.take(), item),
            None => base.push(item),
        }
    }
    base
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::merge;

    #[test]
    fn what_has_a_name_is_merged_by_it_and_other_lists_are_replaced() {
        let base =
            json!({"containers": [{"name": "watershed", "image": "a", "args": ["x"]}], "tolerations": [{"key": "k"}], "n": 1});
        let over = json!({"containers": [{"name": "side"}, {"name": "watershed", "image": "b"}], "tolerations": [], "m": 2});
        assert_eq!(
            merge(base, over),
            json!({
                "containers": [{"name": "watershed", "image": "b", "args": ["x"]}, {"name": "side"}],
                "tolerations": [], "n": 1, "m": 2
            })
        );
    }

    /// A variable may not have both a value and a source, so it is replaced as a whole.
    #[test]
    fn a_variable_is_replaced_as_a_whole_only_where_it_is_said() {
        let merged = merge(json!({"env": [{"name": "A", "value": "1"}]}), json!({"env": [{"name": "A", "value": "2"}]}));
        assert_eq!(merged, json!({"env": [{"name": "A", "value": "2"}]}));
    }
}
