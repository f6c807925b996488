// The C target CAEAD as a machine without libipsec-mb's header builds it, under other names.
#ifndef CAEADABSENT_H
#define CAEADABSENT_H

/// What `caead_load` returns there.
int absent_load(void);

/// What `caead_version` returns there.
const char *absent_version(void);

#endif
