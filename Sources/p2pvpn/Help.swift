// What `help` answers: the catalogue, and the table of events, as JSON. Forms are in the words of JSON
// Schema.

enum Help {
  /// All of it, or one call.
  static func text(about name: String?) throws(RemoteCall.Refusal) -> JSON {
    if let name { return ["schema": 1, "calls": [describe(try Catalogue.call(name))], "topics": []] }
    return [
      "schema": 1, "calls": .array(Catalogue.calls.map(describe)),
      "topics": .array(Topic.allCases.map(describe)),
    ]
  }

  private static func describe(_ call: Call) -> JSON {
    let schema = Field("schema", .integer(1...1), "The version of this form; keys may be added to it.")
    return [
      "name": .string(call.name), "text": .string(call.text), "params": Shape.object(call.parameters).schema,
      "result": Shape.object([schema] + call.result).schema,
      "progress": call.progress.isEmpty ? nil : Shape.object(call.progress).schema,
    ]
  }

  private static func describe(_ topic: Topic) -> JSON {
    let events = Announcement.allCases.filter { $0.terms.topic == topic }
    return [
      "name": .string(topic.rawValue), "text": .string(topic.text),
      "events": .array(
        events.map { event in
          [
            "name": .string(event.rawValue), "text": .string(event.terms.message),
            "facts": Shape.object(event.terms.facts).schema,
          ]
        }),
    ]
  }
}
