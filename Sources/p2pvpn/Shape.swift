// The form of a JSON value, said once: `help` shows it, as JSON Schema (json-schema.org), and what clients
// send is checked against it.

/// What a value may be.
indirect enum Shape: Sendable {
  case truth
  case integer(ClosedRange<Int64>)
  case number
  /// - bytesMax: the longest text, in bytes.
  case text(bytesMax: Int)
  case choice([String])
  case list(Shape)
  case object([Field])
  /// An object of which nothing is said here.
  case anyObject
  /// Such a value, or null.
  case nullable(Shape)

  /// A text of the node itself, whose length nobody has to know.
  static let text = Shape.text(bytesMax: .max)
  /// A count, a size, a time that has passed.
  static let count = Shape.integer(0...Int64.max)
}

/// A named part of an object, or a parameter of a call.
struct Field: Sendable {
  let name: String
  let shape: Shape
  /// One line for people.
  let text: String
  var isRequired = true
  /// What is taken when it is left out.
  var standard: JSON = nil

  init(_ name: String, _ shape: Shape, _ text: String) {
    self.name = name
    self.shape = shape
    self.text = text
  }

  /// A field that may be left out.
  static func optional(_ name: String, _ shape: Shape, _ text: String, standard: JSON = nil) -> Field {
    var field = Field(name, shape, text)
    field.isRequired = false
    field.standard = standard
    return field
  }
}

extension Shape {
  /// What is wrong with `value`, which has this name; nil when nothing is.
  func complaint(about value: JSON, called name: String) -> String? {
    switch (self, value) {
    case (.nullable, .null), (.truth, .bool), (.number, .integer), (.number, .number),
      (.anyObject, .object):
      return nil
    case (.nullable(let shape), _): return shape.complaint(about: value, called: name)
    case (.integer(let range), _):
      if let integer = value.asInteger, range.contains(integer) { return nil }
    case (.text(let bytesMax), .string(let text)):
      if text.utf8.count <= bytesMax { return nil }
    case (.choice(let words), .string(let word)):
      if words.contains(word) { return nil }
      if let nearest = Spelling.nearest(to: word, in: words) {
        return "\(name) is to be \(self), not \(word): did you mean \(nearest)?"
      }
    case (.list(let shape), .array(let values)):
      for (i, value) in values.enumerated() {
        if let complaint = shape.complaint(about: value, called: "\(name)[\(i)]") { return complaint }
      }
      return nil
    case (.object(let fields), .object(let members)):
      return Self.complaint(about: members, fields, in: name)
    default: break
    }
    return "\(name) is to be \(self), not \(Self.excerpt(of: value))"
  }

  /// What is wrong with the members of an object: one that nobody knows, one that is missing, one of another
  /// form.
  private static func complaint(about members: [JSON.Member], _ fields: [Field], in name: String) -> String? {
    for (i, member) in members.enumerated() {
      guard let field = fields.first(where: { $0.name == member.key }) else {
        return unknown(member.key, fields.map(\.name), in: name)
      }
      guard !members[..<i].contains(where: { $0.key == member.key }) else {
        return "\(name) has \(member.key) twice"
      }
      if !field.isRequired, member.value == nil { continue }
      if let complaint = field.shape.complaint(about: member.value, called: member.key) { return complaint }
    }
    let missing = fields.first { field in
      field.isRequired && !members.contains { $0.key == field.name }
    }
    return missing.map { "\(name) wants \($0.name), \($0.shape)" }
  }

  private static func unknown(_ key: String, _ names: [String], in place: String) -> String {
    if names.isEmpty { return "\(place) has no parameters" }
    if let nearest = Spelling.nearest(to: key, in: names) {
      return "\(place) has no \(Spelling.shortened(key)): did you mean \(nearest)?"
    }
    return "\(place) has no \(Spelling.shortened(key)): there is \(names.joined(separator: ", "))"
  }

  private static func excerpt(of value: JSON) -> String {
    switch value {
    case .null: "null"
    case .array: "a list"
    case .object: "an object"
    default: Spelling.shortened(value.text)
    }
  }

  /// The form in the words of JSON Schema.
  var schema: JSON {
    switch self {
    case .truth: return ["type": "boolean"]
    case .number: return ["type": "number"]
    case .integer(let range):
      var members = [JSON.Member(key: "type", value: "integer")]
      if range.lowerBound > .min {
        members.append(JSON.Member(key: "minimum", value: .integer(range.lowerBound)))
      }
      if range.upperBound < .max {
        members.append(JSON.Member(key: "maximum", value: .integer(range.upperBound)))
      }
      return .object(members)
    case .text(let bytesMax):
      return bytesMax == .max
        ? ["type": "string"] : ["type": "string", "maxLength": .integer(Int64(bytesMax))]
    case .choice(let words): return ["type": "string", "enum": .array(words.map { .string($0) })]
    case .list(let shape): return ["type": "array", "items": shape.schema]
    case .anyObject: return ["type": "object"]
    case .nullable(let shape): return ["anyOf": [shape.schema, ["type": "null"]]]
    case .object(let fields):
      let properties = fields.map { JSON.Member(key: $0.name, value: $0.schema) }
      return [
        "type": "object", "properties": .object(properties),
        "required": .array(fields.filter(\.isRequired).map { .string($0.name) }),
      ]
    }
  }
}

extension Field {
  /// The form, with what people should know.
  var schema: JSON {
    guard case .object(var members) = shape.schema else { return shape.schema }
    members.append(JSON.Member(key: "description", value: .string(text)))
    if standard != nil { members.append(JSON.Member(key: "default", value: standard)) }
    return .object(members)
  }
}

extension Shape: CustomStringConvertible {
  /// Words for messages: "an integer from 1 to 9".
  var description: String {
    switch self {
    case .truth: "true or false"
    case .number: "a number"
    case .integer(let range):
      range.upperBound == .max
        ? "an integer from \(range.lowerBound) on"
        : "an integer from \(range.lowerBound) to \(range.upperBound)"
    case .text(let bytesMax): bytesMax == .max ? "a text" : "a text of up to \(bytesMax) bytes"
    case .choice(let words): "one of \(words.joined(separator: ", "))"
    case .list(let shape): "a list, each \(shape)"
    case .object, .anyObject: "an object"
    case .nullable(let shape): "\(shape), or null"
    }
  }
}
