// AES-256-GCM for bulk traffic, by Intel's libipsec-mb where it is installed (x86-64 only).
//
// Whether there is such a library is found out twice. Its header is needed at build time, for the layout of
// its tables; without it `caead_load` says "not there". The library itself is opened at run time, so one
// program runs on machines with and without it. The major and minor version must be those of the header.
//
// The library is fast and trusting: its calls return nothing, do nothing when they dislike an argument, and
// write text that was not yet verified. What that needs is done here: a tag that no call wrote never matches,
// tags are compared in constant time, and what failed is wiped. Whoever loads it tests it before it is used.
//
// After loading nothing here has state of its own: a key is the caller's memory, the context of a record
// stands on the stack, and the library's manager is asked for its functions once and freed. So several
// threads may call at a time. But each call writes the library's error number, one word of the process:
// threads on several cores would contend for its cache line.
#ifndef P2PVPN_CAEAD_H
#define P2PVPN_CAEAD_H

#include <stdint.h>

/// Bytes of an expanded key, and how it is aligned.
#define CAEAD_KEY_BYTES 1024
#define CAEAD_KEY_ALIGNMENT 64

/// Opens the library. Returns 1 when it is there and of the right version and the processor has AES; else 0.
/// To be called by one thread, before every other function.
int caead_load(void);

/// The version of the library that was loaded; empty when none was.
const char *caead_version(void);

/// Writes what sealing and opening need of the 32 bytes at `key` to `state`.
void caead_expand(void *state, const void *key);

/// Encrypts `length` bytes at `text` to `output` and writes 16 bytes of tag. `output` is `text`, or does not
/// overlap it. The nonce has 12 bytes.
void caead_seal(void *output, void *tag, const void *text, uint64_t length, const void *associated,
                uint64_t associated_length, const void *nonce, const void *state);

/// Decrypts `length` bytes at `text` to `output`. Returns 1 when the tag was right; else 0, and `output` is
/// zero.
int caead_open(void *output, const void *tag, const void *text, uint64_t length, const void *associated,
               uint64_t associated_length, const void *nonce, const void *state);

#endif
