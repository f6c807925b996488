// What somebody may have meant who has misspelt a word.

enum Spelling {
  /// Longer words are nobody's mistake, and comparing them takes time.
  private static let lettersMax = 32

  /// The word that differs from `typed` in the fewest letters, and in not more than a third of them.
  static func nearest(to typed: String, in words: [String]) -> String? {
    guard typed.utf8.count <= lettersMax else { return nil }
    let ranked = words.map { (word: $0, distance: distance(Array(typed.utf8), Array($0.utf8))) }
    guard let best = ranked.min(by: { $0.distance < $1.distance }) else { return nil }
    return best.distance <= max(1, best.word.utf8.count / 3) ? best.word : nil
  }

  /// How many letters have to be put in, left out, changed or swapped with the next (Damerau and Levenshtein,
  /// no letter twice).
  private static func distance(_ a: [UInt8], _ b: [UInt8]) -> Int {
    var rows = [Array(0...b.count)]
    for i in a.indices {
      var row = [i + 1]
      for j in b.indices {
        var least = min(rows[i][j] + (a[i] == b[j] ? 0 : 1), rows[i][j + 1] + 1, row[j] + 1)
        if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] { least = min(least, rows[i - 1][j - 1] + 1) }
        row.append(least)
      }
      rows.append(row)
    }
    return rows[a.count][b.count]
  }

  /// As much of a text as fits into a message.
  static func shortened(_ text: String) -> String {
    text.count <= 40 ? text : "\(text.prefix(40))…"
  }
}
