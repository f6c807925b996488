// What Swift has no word for: a cache line that will be wanted soon.
#pragma once

/// Begins to fetch the cache line of an address, and does not wait. The address may be wrong.
static inline void prefetch(const void *_Nullable address) { __builtin_prefetch(address); }
