//! Texts against the real connectors: every refusal of an option stands at its place in the text.

use watershed_runtime::error::explain;
use watershed_runtime::graph::Role;

use crate::catalog::Accepts;
use crate::plan::NodeKind;
use crate::{Connectors, StandardConnectors, build, compile};

/// One table from another; `from` and `into` are what stands in the `WITH` of each.
fn text(from: &str, into: &str) -> String {
    format!("CREATE TABLE f (a BIGINT) WITH ({from});\nCREATE TABLE t (a BIGINT) WITH ({into});\nINSERT INTO t SELECT a FROM f")
}

fn refusal(from: &str, into: &str) -> String {
    explain(&compile(&text(from, into), &StandardConnectors).expect_err("the text is refused"))
}

#[test]
fn a_wrong_option_is_refused_at_its_place() {
    let hole = "'connector' = 'blackhole'";
    assert_eq!(
        refusal("'connector' = 'datagen', 'number-of-row' = '1'", hole),
        "error: table 'f': line 1, column 58: there is no option 'number-of-row'\n  help: did you mean 'number-of-rows'?"
    );
    assert_eq!(
        refusal("'connector' = 'datagen'", "'connector' = 'blackhol'"),
        "error: table 't': line 2, column 33: there is no connector 'blackhol'\n  help: did you mean 'blackhole'?"
    );
    assert_eq!(
        refusal("'connector' = 'stdin'", hole),
        "error: line 1, column 14: table 'f': option 'format' is missing\n  help: add 'format' = '…' to the options of table 'f'"
    );
}

#[test]
fn a_plan_knows_what_its_tables_can_do_and_the_graph_has_their_real_ends() {
    let sql = text("'connector' = 'datagen', 'number-of-rows' = '9'", "'connector' = 'print'");
    let compiled = compile(&sql, &StandardConnectors).unwrap();
    let plan = compiled.plan.unwrap();
    let bounded = plan.nodes.iter().find_map(|n| if let NodeKind::Source(s) = &n.kind { Some(s.bounded) } else { None });
    assert_eq!(bounded, Some(true));
    assert_eq!(StandardConnectors.describe_sink(&compiled.tables["t"]).unwrap().accepts, Accepts::Retract);
    let graph = build(&plan, &StandardConnectors).unwrap();
    let ends = graph.nodes().iter().filter_map(|n| match &n.role {
        Role::Source { source, .. } => Some(format!("{source:?}")),
        Role::Sink(sink) => Some(format!("{sink:?}")),
        Role::Operator { .. } => None,
    });
    let ends: Vec<String> = ends.collect();
    let [source, sink] = ends.as_slice() else { panic!("{ends:?}") };
    assert!(source.starts_with("Generator") && sink.starts_with("Output"), "{ends:?}");
}
