/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * siphash.h - SipHash-2-4 (Aumasson, Bernstein), the keyed hash of the lookup tables: a remote
 * that does not know the key cannot choose tuples that collide.
 */
#ifndef MPGATE_BASE_SIPHASH_H
#define MPGATE_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t siphash(const uint64_t key[2], const void *data, size_t len);

#endif
