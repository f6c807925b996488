// The allocator of the test program: glibc's, with a counter for each thread.
//
// A program's own definition of malloc comes before that of a library, for the libraries as well. What is freed
// is nobody's concern here, so `free` is left alone.

#include "CMallocCount.h"

#include <errno.h>
#include <execinfo.h>
#include <stddef.h>

#define FRAMES_MAX 48

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);

static _Thread_local int is_counting;
static _Thread_local uint64_t count;
static _Thread_local int frame_count;
static _Thread_local void *frames[FRAMES_MAX];

static void note(void) {
  if (!is_counting) return;
  if (count++ > 0) return;
  is_counting = 0;  // looking at the stack may allocate
  frame_count = backtrace(frames, FRAMES_MAX);
  is_counting = 1;
}

void allocations_begin(void) {
  void *frame[1];
  backtrace(frame, 1);  // the first call loads a library
  frame_count = 0;
  count = 0;
  is_counting = 1;
}

uint64_t allocations_end(void) {
  is_counting = 0;
  return count;
}

void allocations_show_first(int descriptor) { backtrace_symbols_fd(frames, frame_count, descriptor); }

void *malloc(size_t size) {
  note();
  return __libc_malloc(size);
}

void *calloc(size_t number, size_t size) {
  note();
  return __libc_calloc(number, size);
}

void *realloc(void *old, size_t size) {
  note();
  return __libc_realloc(old, size);
}

void *memalign(size_t alignment, size_t size) {
  note();
  return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
  note();
  return __libc_memalign(alignment, size);
}

int posix_memalign(void **result, size_t alignment, size_t size) {
  note();
  void *memory = __libc_memalign(alignment, size);
  if (!memory) return ENOMEM;
  *result = memory;
  return 0;
}
