// A demand on a run, and whether it was met.

/// One line of the table of checks.
public struct Check: Sendable, Equatable {
  public enum Relation: Sendable { case atMost, atLeast }

  /// As JSON and corpus files call it: lower case, with underscores.
  public let name: String
  /// What is demanded, for people.
  public let meaning: String
  /// Nil: there was nothing to measure, which fails.
  public let value: Double?
  public let bound: Double
  public let relation: Relation

  public init(_ name: String, _ meaning: String, _ value: Double?, _ relation: Relation, _ bound: Double) {
    self.name = name
    self.meaning = meaning
    self.value = value
    self.relation = relation
    self.bound = bound
  }

  public var isMet: Bool {
    guard let value, !value.isNaN else { return false }
    return relation == .atMost ? value <= bound : value >= bound
  }

  /// The bound as people read it.
  public var demand: String { (relation == .atMost ? "≤ " : "≥ ") + Numbers.significant(bound, 6) }
}

/// A figure of a run: measured, not judged.
public struct Figure: Sendable, Equatable {
  public let name: String
  public let meaning: String
  public let value: Double?
  /// The unit behind the number, if any.
  public let unit: String

  public init(_ name: String, _ meaning: String, _ value: Double?, _ unit: String = "") {
    self.name = name
    self.meaning = meaning
    self.value = value
    self.unit = unit
  }
}
