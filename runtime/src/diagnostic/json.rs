//! Problems as JSON: one document, the same codes and texts as for people.

use serde_json::{Value, json};

use super::{Problem, Problems};

impl Problem {
    /// The whole document: kind, version, exit code and the problem.
    #[must_use]
    pub fn to_json(&self) -> Value {
        document(self, &[])
    }

    /// The problem alone, as it stands under `related` and in lists.
    fn to_json_part(&self) -> Value {
        let labels: Vec<Value> = self
            .labels
            .iter()
            .map(|label| {
                json!({
                    "label": label.text,
                    "span": { "offset": label.span.start, "length": label.span.len() },
                })
            })
            .collect();
        let mut part = json!({
            "code": self.code.as_str(),
            "severity": self.severity.name(),
            "message": self.message,
            "help": self.help,
            "filename": self.source.as_ref().map(|source| source.name()),
            "labels": labels,
            "causes": self.causes,
        });
        if let (Some(map), false) = (part.as_object_mut(), self.notes.is_empty()) {
            let notes: Vec<Value> =
                self.notes.iter().map(|note| json!({ "note": note.word, "text": note.text })).collect();
            map.insert("notes".to_owned(), Value::Array(notes));
        }
        part
    }
}

impl Problems {
    /// The whole document: the first problem, with the others under `related`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut all = self.iter();
        match all.next() {
            Some(first) => document(first, all.as_slice()),
            None => json!({ "kind": "error", "v": 1, "exit": 1 }),
        }
    }
}

fn document(first: &Problem, related: &[Problem]) -> Value {
    let mut document = json!({ "kind": "error", "v": 1, "exit": first.exit_code() });
    if let (Some(map), Value::Object(part)) = (document.as_object_mut(), first.to_json_part()) {
        map.extend(part);
        let related = related.iter().map(Problem::to_json_part).collect();
        map.insert("related".to_owned(), Value::Array(related));
    }
    document
}

#[cfg(test)]
mod tests {
    use super::super::{Code, Source};
    use super::*;

    #[test]
    fn an_error_is_the_document_of_the_interface() {
        let problem = Problem::new(Code::UnknownDestination, "no destination is called `ordres`")
            .with_help("did you mean `orders`?")
            .with_source(Source::new("sandbus.toml", "listens-to = [\"ordres\"]"))
            .with_label("guest `validator` listens to it here", 14..22);
        let wanted = json!({"kind":"error","v":1,"exit":3,"code":"SB0112","severity":"error",
            "message":"no destination is called `ordres`","help":"did you mean `orders`?",
            "filename":"sandbus.toml",
            "labels":[{"label":"guest `validator` listens to it here","span":{"offset":14,"length":8}}],
            "causes":[],"related":[]});
        assert_eq!(problem.to_json(), wanted);
    }

    #[test]
    fn the_other_problems_are_related_to_the_first() {
        let problems: Problems =
            vec![Problem::new(Code::UnknownKey, "one"), Problem::new(Code::WrongType, "two")].into();
        let document = problems.to_json();
        assert_eq!(document["message"], "one");
        assert_eq!(document["related"][0]["code"], "SB0103");
        assert_eq!(document["filename"], Value::Null);
    }
}
