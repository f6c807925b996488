// A cache line that will be wanted soon.

import CPrefetch

/// Begins to fetch the cache line of an address and does not wait; of a wrong address nothing comes.
@inlinable @inline(__always) public func prefetch(_ address: UnsafeRawPointer?) {
  CPrefetch.prefetch(address)
}
