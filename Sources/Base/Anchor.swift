// What keeps a large struct in its place.
//
// A struct whose fields are all plain values is passed to a function that only reads it as a copy, however
// large it is and although it cannot be copied by its users: some kilobytes for each call. One that holds raw
// storage has to stay where it is, and its address is passed instead. The machines of a node hold an anchor
// for that alone; it says nothing and nobody looks at it.

/// A byte that makes its owner be passed by address.
@_rawLayout(like: UInt8)
public struct Anchor: ~Copyable {
  public init() {}
}

extension Anchor: @unchecked Sendable {}
