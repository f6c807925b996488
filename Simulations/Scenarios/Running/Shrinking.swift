// Delta debugging (Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input", 2002): from a
// list that makes something fail to a short one that still does.
//
// The list is cut into n parts. If one part alone fails, go on with it; if the list without one part fails,
// go on with that; otherwise cut finer. The result is 1-minimal when there was enough time: no single element
// can be left out any more.

/// Makes failing lists shorter.
public enum Shrinking {
  /// The verdict about a shorter list.
  public enum Verdict: Sendable {
    case fails
    case passes
    /// There is no time for more tries: the shortest list so far is the result.
    case outOfTime
  }

  /// - Parameters:
  ///   - items: a list that fails.
  ///   - test: tries a shorter one; never called with `items` itself.
  /// - Returns: the shortest failing list that was found, in the order of `items`.
  public static func minimise<Item>(_ items: [Item], _ test: ([Item]) -> Verdict) -> [Item] {
    guard !items.isEmpty else { return items }
    switch test([]) {
    case .fails: return []
    case .outOfTime: return items
    case .passes: break
    }
    var current = items
    var parts = 2
    while current.count > 1 {
      guard let shorter = reduce(current, parts, test) else { return current }
      if let (list, nextParts) = shorter.found {
        current = list
        parts = nextParts
      } else if parts >= current.count {
        return current
      } else {
        parts = min(2 * parts, current.count)
      }
    }
    return current
  }

  private struct Step<Item> {
    var found: ([Item], parts: Int)?
  }

  /// One round with so many parts; nil when time is up.
  private static func reduce<Item>(
    _ items: [Item], _ parts: Int, _ test: ([Item]) -> Verdict
  ) -> Step<Item>? {
    let bounds = (0...parts).map { $0 * items.count / parts }
    for i in 0..<parts {
      let part = Array(items[bounds[i]..<bounds[i + 1]])
      switch test(part) {
      case .fails: return Step(found: (part, 2))
      case .outOfTime: return nil
      case .passes: break
      }
    }
    guard parts > 2 else { return Step() }
    for i in 0..<parts {
      let rest = Array(items[..<bounds[i]] + items[bounds[i + 1]...])
      switch test(rest) {
      case .fails: return Step(found: (rest, max(parts - 1, 2)))
      case .outOfTime: return nil
      case .passes: break
      }
    }
    return Step()
  }

  /// The smallest number between the bounds that still fails, by halving; `high` is known to fail.
  public static func smallest(from low: Int, failing high: Int, _ test: (Int) -> Verdict) -> Int {
    var low = low
    var high = high
    while low < high {
      let middle = low + (high - low) / 2
      switch test(middle) {
      case .fails: high = middle
      case .passes: low = middle + 1
      case .outOfTime: return high
      }
    }
    return high
  }
}
