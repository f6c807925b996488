// Builds the other half of aead.c, so that no machine's tests leave it out.
#include "CAEADAbsent.h"

#define CAEAD_WITHOUT_IPSEC_MB
#define caead_load absent_load
#define caead_version absent_version
#define caead_expand absent_expand
#define caead_seal absent_seal
#define caead_open absent_open

#include "../../../Sources/CAEAD/aead.c"
