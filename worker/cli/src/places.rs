//! From a place in SQL to the place in the file: the planner counts lines of its text, the reader's cursor stands in a manifest.

use watershed::Error;
use watershed_job::job::SqlText;

/// The error as seen from the file: `file:line:column` in front, and every other position in its words counted in the file too.
pub(crate) fn in_file(error: Error, file: &str, sql: &SqlText) -> Error {
    let words = |text: &str| {
        each_place(text, |line, column| {
            let at = sql.place(line, column).position;
            format!("line {}, column {}", at.line, at.column)
        })
    };
    let place = |place: Option<&str>| {
        let place = place.unwrap_or_default();
        let mut first = None;
        let rest = each_place(place, |line, column| {
            first.get_or_insert((line, column));
            String::new()
        });
        let rest = rest.split(": ").filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ");
        let start = match first.map(|(line, column)| sql.place(line, column)) {
            Some(at) if at.exact => format!("{file}:{}", at.position),
            Some(at) => format!("{file}:{} (somewhere in this SQL)", at.position),
            None => file.to_owned(),
        };
        Some(if rest.is_empty() { start } else { format!("{start}: {rest}") })
    };
    error.reworded(place, words)
}

/// The text with each `line N, column M` replaced.
fn each_place(text: &str, mut replace: impl FnMut(u32, u32) -> String) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("line ") {
        let (before, found) = rest.split_at(at);
        out.push_str(before);
        match position(found) {
            Some((line, column, length)) => {
                out.push_str(&replace(line, column));
                rest = found.get(length..).unwrap_or_default();
            }
            None => {
                out.push_str("line ");
                rest = found.get(5..).unwrap_or_default();
            }
        }
    }
    out + rest
}

/// Line, column and length of a `line N, column M` at the start of a text.
fn position(text: &str) -> Option<(u32, u32, usize)> {
    let number = |text: &str| {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        Some((text.get(..digits)?.parse::<u32>().ok()?, digits))
    };
    let (line, digits) = number(text.get(5..)?)?;
    let rest = text.get(5 + digits..)?.strip_prefix(", column ")?;
    let (column, more) = number(rest)?;
    Some((line, column, 5 + digits + ", column ".len() + more))
}

#[cfg(test)]
mod tests {
    use watershed::{Kind, explain};
    use watershed_job::job::Program;
    use watershed_job::{parse_manifest, parse_sql};

    use super::*;

    fn check(manifest: Option<&str>, error: Error, expect: &str) {
        let document = match manifest {
            Some(text) => parse_manifest("j.yaml", text),
            None => parse_sql("j.sql", "SELECT 1;\nSELECT 2;\n"),
        };
        let Program::Sql { text, .. } = document.unwrap().job.program else { unreachable!("the job is SQL") };
        let file = if manifest.is_some() { "j.yaml" } else { "j.sql" };
        assert_eq!(explain(&in_file(error, file, &text)), expect);
    }

    const MANIFEST: &str = "apiVersion: watershed.dev/v1alpha1\nkind: StreamJob\nmetadata:\n  name: j\nspec:\n  sql: |\n    SELECT 1;\n    SELECT 2;\n";

    #[test]
    fn a_place_in_a_block_is_counted_in_the_file() {
        let error = || Error::new(Kind::Invalid, "defined at line 1, column 1 already").at("line 2, column 8");
        check(Some(MANIFEST), error(), "error: j.yaml:8:12: defined at line 7, column 5 already");
        check(None, error(), "error: j.sql:2:8: defined at line 1, column 1 already");
    }

    #[test]
    fn what_stands_around_a_place_is_kept() {
        let error =
            Error::new(Kind::Invalid, "a bad line or two").at("line 1, column 3").at("option 'x'").advise("see line 2, column 1");
        check(Some(MANIFEST), error, "error: j.yaml:7:7: option 'x': a bad line or two\n  help: see line 8, column 5");
        check(None, Error::new(Kind::Invalid, "what"), "error: j.sql: what");
    }
}
