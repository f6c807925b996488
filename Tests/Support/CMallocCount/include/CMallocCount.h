// Counts what a thread takes from the heap: malloc and its kin are defined in CMallocCount.c and call glibc's.
#ifndef CMALLOCCOUNT_H
#define CMALLOCCOUNT_H

#include <stdint.h>

/// Begins to count the allocations of this thread, from 0.
void allocations_begin(void);

/// Ends the counting and returns how many allocations this thread made.
uint64_t allocations_end(void);

/// Writes the calls that led to the first allocation counted last to a file descriptor, one a line.
void allocations_show_first(int descriptor);

#endif
