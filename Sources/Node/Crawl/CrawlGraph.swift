// What a crawl found as a graph in the DOT language, for Graphviz and other programs: an edge for each right
// neighbour and each far link, as the node at its beginning says it.

import Base

extension CrawlReport {
  /// The graph, one line for each node and edge.
  public var dot: String {
    var text = "digraph ring {\n  label=\"\(verdict)\";\n  node [shape=circle];\n"
    for outlier in outliers where outlier.faults.contains(.missing) {
      text += "  \"\(outlier.id)\" [label=\"\(outlier.id.short)\", style=dashed, color=red];\n"
    }
    for id in map.ids {
      let isOdd = outlierIndex(id) != nil
      text += "  \"\(id)\" [label=\"\(id.short)\"\(isOdd ? ", color=red" : "")];\n"
    }
    for (rank, word) in map.words.enumerated() {
      let id = map.ids[rank]
      for i in 0..<word.right.count {
        var style = i == 0 ? "style=bold" : "color=gray"
        if !word.right[i].path.isOwn { style = "style=dashed, color=orange" }
        text += "  \"\(id)\" -> \"\(word.right[i].id)\" [\(style)];\n"
      }
      for i in 0..<word.far.count {
        guard let other = map.rank(leading: word.far[i]) else { continue }
        text += "  \"\(id)\" -> \"\(map.ids[other])\" [style=dotted, color=green];\n"
      }
    }
    return text + "}\n"
  }

  private func outlierIndex(_ id: OverlayID) -> Int? {
    var (low, high) = (0, outliers.count)
    while low < high {
      let middle = (low + high) / 2
      if outliers[middle].id < id { low = middle + 1 } else { high = middle }
    }
    return low < outliers.count && outliers[low].id == id ? low : nil
  }
}
