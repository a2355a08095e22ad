/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * dss_sum.h - the DSS checksum (RFC 8684 section 3.3.1): a pseudo-header and the mapping's bytes.
 */
#ifndef MPGATE_ENGINE_DSS_SUM_H
#define MPGATE_ENGINE_DSS_SUM_H

#include <stdint.h>

/*
 * Partial sum (csum.h) of the pseudo-header; `ssn` is relative to the subflow's ISN, `len` counts
 * a DATA_FIN.
 */
uint64_t dss_sum_header(uint64_t dsn, uint32_t ssn, uint16_t len);

/* What bytes at offset `at` of the mapping add to it. */
uint64_t dss_sum_bytes(uint32_t at, const uint8_t *data, uint32_t bytes);

#endif
